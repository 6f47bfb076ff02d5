"""The backend for other models, where the extra ``semantic`` is installed; also the reference."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from search_sessions import session, sessions, tell

from schemas.settings import Settings
from tracker.search.embedding import load_embedder
from tracker.search.models import fetch, list_models, model_probe, verify
from tracker.search.sentences import SentenceModel
from tracker.sessions import SessionService

if os.environ.get("CI") != "true" or sys.version_info[:2] != (3, 11):  # CI has it there
    pytest.importorskip("sentence_transformers", reason="needs: pip install 'sessionops[semantic]'")

REFERENCE = json.loads(Path(__file__).with_name("reference.json").read_bytes())


def test_the_built_in_backend_agrees_with_it(model_folder):
    """Cosine at least 0.9999 for every text, and the same ranking for each as the query."""
    texts = REFERENCE["texts"]
    ours, theirs = load_embedder(model_folder).embed(texts), SentenceModel.load(model_folder)
    vectors = theirs.embed(texts)
    assert (ours * vectors).sum(axis=1).min() >= 0.9999
    np.testing.assert_array_equal(
        np.argsort(-(ours @ ours.T), axis=1), np.argsort(-(vectors @ vectors.T), axis=1)
    )


def test_any_model_that_it_can_load_is_brought_and_used(model_folder, settings):
    """Here it is the same model under a name that the catalogue does not have."""
    chosen = {"SESSION_BUDDY_EMBEDDING_MODEL": "ours/another-model"}
    settings = Settings.load(settings.places, chosen)
    assert (model_probe(settings).ok, model_probe(settings).value) == (None, "not available")
    fetched = fetch(settings, str(model_folder))
    assert (fetched.state, fetched.problems) == ("fetched", ())
    assert fetched.path.name == "ours--another-model"
    assert fetch(settings).state == "present"
    assert verify(fetched.path) == ()
    (listed,) = [model for model in list_models(settings) if model.chosen]
    assert (listed.name, listed.state) == ("ours/another-model", "installed")
    service = SessionService.open(settings, wait=0)
    tell(service, *session("s", "coordinate several automated tasks", "bananas"))
    answer = service.search("workflow orchestration", search_type="semantic")
    assert sessions(answer)[0] == "s"
    assert answer.hits[0].text == "coordinate several automated tasks"
    assert service.index_progress().model == "ours/another-model"
    service.close()
