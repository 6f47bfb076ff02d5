"""Runs, errors and runbooks as rows."""

from __future__ import annotations

import subprocess
import sys

import pytest
from told import wait_until

from orchestrator import listing
from orchestrator.failures import failures
from orchestrator.operations import run_runbook

RUNBOOK = """\
schema_version: 1
name: {name}
title: {name}
steps:
  - {{id: only, run: "{line}", undo: {{none: "it changes nothing"}}}}
"""


@pytest.fixture
def ops(lone_site, monkeypatch, tmp_path):
    """A folder with runbooks that end well, badly and late, used by this very process."""
    for name, value in lone_site.environ.items():
        monkeypatch.setenv(name, value)
    slow = f"touch {tmp_path / 'begun'}; sleep 15"
    lines = {"good": "true", "bad": "exit 3", "slow": slow}
    (tmp_path / "runbooks").mkdir()
    for name, line in lines.items():
        (tmp_path / "runbooks" / f"{name}.yaml").write_text(RUNBOOK.format(name=name, line=line))
    (tmp_path / "inventory.yaml").write_text(
        "schema_version: 1\nhosts:\n  here: {connection: local}\n"
    )
    return tmp_path


def test_nothing_is_said_in_words(lone_site, ops):
    assert str(listing.runs()) == "no runs yet; start one with: invoke deploy"
    assert str(listing.active_runs()) == "nothing is running"


def test_runs_are_listed_newest_first(ops):
    for name in ("good", "bad"):
        run_runbook(name, {}, ops=ops)
    found = listing.runs()
    assert [(run["runbook"], run["state"]) for run in found] == [
        ("bad", "failed"),
        ("good", "succeeded"),
    ]
    assert found[0]["run_id"] in str(found)


def test_a_failed_run_is_an_error_with_its_step(lone_site, ops):
    run_runbook("bad", {}, ops=ops)
    found = failures(lone_site.settings)
    assert [(row["kind"], row["what"]) for row in found] == [("run", "bad only")]
    assert "exit 3" in found[0]["error"]
    assert found.note.startswith("only runs: Session-Buddy does not answer")


def test_an_active_run_shows_its_step_and_a_dead_one_is_an_error(lone_site, ops):
    code = (
        "import sys; from pathlib import Path; from orchestrator.operations import run_runbook;"
        "run_runbook('slow', {}, ops=Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(ops)], start_new_session=True)
    try:
        wait_until((ops / "begun").exists, "the step")
        [run] = listing.active_runs()
        assert (run["runbook"], run["state"], run["step"]["step"]) == ("slow", "running", "only")
        assert run["pid"] == process.pid
    finally:
        process.kill()
        process.wait()
    assert listing.active_runs() == []
    [row] = failures(lone_site.settings)
    assert (row["what"], str(process.pid) in row["error"]) == ("slow", True)


def test_a_broken_runbook_is_listed_with_its_fault(ops, monkeypatch):
    from orchestrator import operations

    (ops / "runbooks" / "broken.yaml").write_text("schema_version: 1\nname: broken\nstep: []\n")
    monkeypatch.setattr(operations, "ops_folder", lambda: ops)
    assert "broken: " in str(listing.runbooks())
