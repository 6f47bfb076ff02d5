"""``session-buddy models fetch|list|verify`` as a person and a runbook see them."""

import json
import os
import subprocess
import sys

import pytest

from tracker.search.catalogue import MINILM


@pytest.fixture
def run(settings):
    environ = {
        **os.environ,
        "SESSION_BUDDY_HOME": str(settings.places.tracker_home),
        "MAHAVISHNU_HOME": str(settings.places.home),
    }

    def call(*arguments):
        argv = [sys.executable, "-m", "tracker.cli", "models", *arguments]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)

    return call


def test_fetch_brings_it_proves_it_and_then_has_nothing_to_do(run, settings, model_folder):
    assert json.loads(run("list", "--json").stdout)[0]["state"] == "not installed"
    result = run("fetch", "--source", str(model_folder), "--json")
    assert (result.returncode, result.stderr) == (0, "")
    folder = settings.places.models / MINILM.name
    answer = json.loads(result.stdout)
    assert (answer["state"], answer["path"], answer["problems"]) == ("fetched", str(folder), [])
    assert list(settings.places.models.glob(".*.proofs.json"))

    again = run("fetch")
    assert (again.returncode, again.stdout) == (0, "all-MiniLM-L6-v2 is there and verified\n")
    assert json.loads(run("list", "--json").stdout)[0]["state"] == "installed"


def test_what_cannot_be_had_is_told_and_exits_1(run, tmp_path):
    result = run("fetch", "--source", str(tmp_path), "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["state"] == "unavailable"


def test_verify_of_a_whole_model(run, installed):
    result = run("verify")
    assert result.returncode == 0
    assert result.stdout == "✓ all-MiniLM-L6-v2: as published, embeds as the reference does\n"


def test_verify_of_a_model_that_is_not_there_says_how_to_get_it(run):
    result = run("verify")
    assert result.returncode == 6
    assert "all-MiniLM-L6-v2 is not installed\n  get it with: session-buddy" in result.stderr


def test_verify_of_a_damaged_model(run, own_copy):
    (own_copy / "tokenizer.json").write_text("{}")
    result = run("verify", "--json")
    assert result.returncode == 1
    (answer,) = json.loads(result.stdout)
    assert answer["name"] == MINILM.name
    assert answer["problems"][0].startswith("tokenizer.json is not the published file")
