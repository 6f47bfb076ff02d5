"""Texts that mean the same stand above texts that do not, whatever words they use."""

import pytest

from tracker.search.embedding import load_embedder

# What is asked for, texts about it that share no word with it, texts about something else.
CASES = {
    "workflow orchestration": (
        [
            "started the nightly pipeline, it schedules jobs that depend on one another",
            "coordinate several automated tasks and run them in the right sequence",
        ],
        ["the disk of the mail server is full", "bananas are rich in potassium"],
    ),
    "database locked": (
        ["cannot open sessions.db: file is in use by PID 4711", "DuckDB: conflicting write access"],
        ["rendered the Grafana dashboard", "renewed the TLS certificate"],
    ),
    "out of memory": (
        ["the kernel's OOM killer ended the process", "RAM exhausted, swap at 100 %"],
        ["git push origin main", "added a new user to the team"],
    ),
}


@pytest.fixture(scope="module")
def embedder(model_folder):
    return load_embedder(model_folder)


@pytest.mark.parametrize("query", CASES)
def test_related_texts_rank_above_unrelated_ones(embedder, query):
    related, unrelated = CASES[query]
    words = set(query.split())
    assert not any(words & set(text.lower().split()) for text in related)
    vectors = embedder.embed([query, *related, *unrelated])
    cosines = vectors[1:] @ vectors[0]
    assert min(cosines[: len(related)]) > max(cosines[len(related) :])
