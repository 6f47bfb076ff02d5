"""``invoke`` whose reader goes away, whose screen is poor, or whose options are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
RUNBOOK = """schema_version: 1
name: trial
title: Trial …
steps:
  - {id: one, run: "true", undo: {none: nothing}}
  - {id: two, run: "touch %s", undo: {none: nothing}}
"""


@pytest.fixture
def invoke(tmp_path):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAHAVISHNU_")}
    homes = {
        "MAHAVISHNU_HOME": str(tmp_path / "mahavishnu"),
        "SESSION_BUDDY_HOME": str(tmp_path / "session-buddy"),
    }

    def call(*words, stdout=subprocess.PIPE, **variables):
        return subprocess.run(
            [sys.executable, "-m", "invoke", *words],
            cwd=PROJECT,
            env=kept | homes | variables,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    return call


@pytest.fixture
def trial(tmp_path):
    """The path of a runbook, and of the file that its last step makes."""
    folder, made = tmp_path / "ops" / "runbooks", tmp_path / "made"
    folder.mkdir(parents=True)
    (folder / "trial.yaml").write_text(RUNBOOK % made)
    return str(folder / "trial.yaml"), made


@pytest.fixture
def closed():
    """A pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def test_a_run_goes_on_when_nobody_reads_its_output(invoke, trial, closed):
    path, made = trial
    done = invoke("runbook.run", path, stdout=closed)
    assert made.exists(), "the last step was done"
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(invoke("runbook.history", "--json").stdout)
    assert record["state"] == "succeeded"


def test_a_screen_without_the_signs_gets_others(invoke, trial):
    path, made = trial
    done = invoke("runbook.run", path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, made.exists()) == (0, True), done.stderr


@pytest.mark.parametrize("words", [["runbook.list"], ["runbook.history", "--json"]])
def test_a_list_that_nobody_reads_ends_quietly(invoke, closed, words):
    done = invoke(*words, stdout=closed)
    assert done.returncode in {0, 141}
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--limit", "abc"], "--limit abc: not a number from 1"),
        (["--limit", "0"], "--limit 0: not a number from 1"),
        (["--state", "bogus"], "--state bogus: no run is ever in it"),
    ],
)
def test_a_wrong_option_is_told_in_words(invoke, words, message):
    done = invoke("runbook.history", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")


def test_differences_have_an_exit_code_of_their_own(invoke, trial):
    assert invoke("runbook.run", trial[0], "--check", "--exit-diff").returncode == 7
    assert "succeeded (check)" in invoke("runbook.history").stdout
    assert invoke("runbook.run", trial[0], "--exit-diff").returncode == 2


def test_an_unknown_setting_is_warned_about_once(invoke):
    done = invoke("runbook.history", MAHAVISHNU_PROT="3")
    assert done.stderr.count("warning: ") == 1
    assert "MAHAVISHNU_PORT" in done.stderr


def test_any_other_error_is_one_line(capsys, monkeypatch):
    from invoke import Exit

    from orchestrator.door.answers import told

    monkeypatch.delenv("MAHAVISHNU_DEBUG", raising=False)

    @told
    def broken():
        raise KeyError("x")

    with pytest.raises(Exit) as ended:
        broken()
    assert ended.value.code == 1
    assert "error: KeyError: 'x' (a fault in the program; MAHAVISHNU_DEBUG=1" in (
        capsys.readouterr().err
    )


def test_a_list_ends_quietly_when_nobody_reads_it(invoke, closed):
    for words in (["--list"], ["--help", "deploy"]):
        assert invoke(*words, stdout=closed).stderr == ""
