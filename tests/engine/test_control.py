"""Other processes speak to a run through its folder: cancel it, approve, refuse."""

from __future__ import annotations

import pty
import subprocess
import sys
from contextlib import contextmanager

import pytest
from engine_ops import until

from orchestrator import live_runs, runs
from orchestrator.engine.control import person
from orchestrator.operations import get_run, list_runs
from schemas.errors import InvalidInput, NotAuthorised

ASKING = """
lock: trial
steps:
  - {id: first, task: trial.put, with: {path: "WORK/first"}}
  - {id: ask, task: trial.put, with: {path: "WORK/asked"}, approval: {prompt: Sure?}}
"""
BY_HAND = """
steps:
  - {id: cable, manual: Pull the cable.}
"""
SLOW = """
steps:
  - {id: first, task: trial.put, with: {path: "WORK/first"}}
  - id: slow
    run: "touch WORK/slow; for i in $(seq 600); do test -f WORK/go && exit; sleep 0.1; done"
    undo: {none: it only waits}
  - {id: last, task: trial.put, with: {path: "WORK/last"}}
"""


@contextmanager
def started(ops, text, *options, stdin=subprocess.DEVNULL):
    """``invoke runbook.run`` in a process of its own."""
    path = ops.write("trial", text.replace("WORK", str(ops.work)))
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "runbook.run", str(path), *options],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def invoke(*words):
    """Run ``invoke`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def is_waiting():
    return any(record.state == "waiting" for record in list_runs())


def test_another_process_approves_and_the_journal_says_who(ops):
    with started(ops, ASKING) as process:
        until(is_waiting)
        said = invoke("runbook.approve", "latest")
        assert said.returncode == 0, said.stderr
        assert said.stdout == "ask: approved: Sure?\n"
        told, _ = process.communicate()
        assert process.returncode == 0, told
    record, entries = get_run("latest")
    assert f"invoke runbook.approve {record.run_id}" in told
    (approved,) = (one for one in entries if one.state == "approved")
    assert (approved.step, approved.message) == ("ask", f"by {person()}")
    assert approved.at > record.started_at
    assert record.waiting_for == {}
    assert ops.left() == {"first", "asked"}


def test_who_refuses_is_named_and_the_run_is_rolled_back(ops):
    with started(ops, ASKING) as process:
        until(is_waiting)
        assert invoke("runbook.approve", "latest", "--refuse").returncode == 0
        told, _ = process.communicate()
        assert process.returncode == 5, told
    assert f"{person()} did not approve" in get_run("latest")[0].error
    assert ops.left() == set()


def test_a_manual_step_is_done_when_somebody_says_so(ops):
    with started(ops, BY_HAND) as process:
        until(is_waiting)
        assert get_run("latest")[0].waiting_for["text"] == "Pull the cable."
        assert invoke("runbook.approve", "latest").stdout == "cable: done: Pull the cable.\n"
        assert process.wait() == 0
    assert get_run("latest")[1][-1].message == f"done by {person()}"


def test_only_those_named_may_answer(ops):
    with started(ops, ASKING.replace("Sure?", "Sure?, by: [ana]")) as process:
        until(is_waiting)
        refused = invoke("runbook.approve", "latest")
        assert refused.returncode == 4
        assert "this is for ana" in refused.stderr
        control = ops.runs / get_run("latest")[0].run_id / "control.jsonl"
        control.write_text('{"ask": "approve", "by": "eve", "step": "ask"}\nno json\n[]\n')
        live_runs.answer_run("latest", "ana", yes=True)
        told, _ = process.communicate()
        assert process.returncode == 0, told
    assert [one.message for one in get_run("latest")[1] if one.state == "approved"] == ["by ana"]
    with pytest.raises(InvalidInput, match="is over"):
        live_runs.answer_run("latest", "ana", yes=True)


def test_the_terminal_and_another_process_are_asked_at_once(ops):
    for from_elsewhere in (True, False):
        ours, theirs = pty.openpty()
        with started(ops, ASKING, stdin=theirs) as process:
            until(is_waiting)
            if from_elsewhere:
                live_runs.answer_run("latest", yes=True)
            else:
                with open(ours, "w", closefd=False) as terminal:
                    terminal.write("y\n")
            told, _ = process.communicate()
            assert process.returncode == 0, told
            assert "Go on? [y/N]" in told


def test_a_run_that_waits_for_nobody_takes_no_answer(ops):
    with started(ops, SLOW):
        until((ops.work / "slow").exists)
        with pytest.raises(InvalidInput, match="waits for nobody"):
            live_runs.answer_run("latest", yes=True)
        (ops.work / "go").touch()


def test_cancel_ends_the_run_after_its_step_and_undoes(ops):
    with started(ops, SLOW) as process:
        until((ops.work / "slow").exists)
        said = invoke("runbook.cancel", "latest")
        assert "is asked to stop after its step" in said.stdout
        for line in process.stdout:
            if "stopping after this step" in line:
                break
        (ops.work / "go").touch()
        told, _ = process.communicate()
        assert process.returncode == 130, told
    assert get_run("latest")[0].error == f"asked to stop by {person()}"
    assert ops.left() == {"slow", "go"}
    assert invoke("runbook.cancel", "latest").returncode == 2


def test_cancel_now_leaves_everything_as_it_is_and_the_run_can_be_resumed(ops):
    with started(ops, SLOW) as process:
        until((ops.work / "slow").exists)
        assert invoke("runbook.cancel", "latest", "--now").returncode == 0
        told, _ = process.communicate()
        assert process.returncode == 130, told
    assert get_run("latest")[0].state == "cancelled"
    assert ops.left() == {"slow", "first"}
    (ops.work / "go").touch()
    assert runs.resume_run("latest").state == "succeeded"
    assert ops.left() == {"slow", "first", "go", "last"}


def test_a_run_that_waits_can_be_cancelled(ops):
    with started(ops, ASKING) as process:
        until(is_waiting)
        live_runs.cancel_run("latest")
        told, _ = process.communicate()
        assert process.returncode == 130, told
    assert ops.left() == set()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (ASKING, 5),
        (BY_HAND, 1),
        (ASKING.replace("Sure?", "Sure?, allow_yes: true"), 0),
        (BY_HAND.replace("cable.", "cable., allow_yes: true"), 0),
    ],
)
def test_yes_is_an_answer_only_where_the_step_allows_it(ops, text, code):
    with started(ops, text, "--yes") as process:
        told, _ = process.communicate()
        assert process.returncode == code, told
    if code:
        assert "--yes is not enough" in told
    else:
        said = [one.message for one in get_run("latest")[1]]
        assert any(f"by {person()} with --yes" in message for message in said)


def test_only_who_is_named_may_be_somebody_else(ops):
    with started(ops, ASKING.replace("Sure?", "Sure?, by: [ana]")):
        until(is_waiting)
        with pytest.raises(NotAuthorised):
            live_runs.answer_run("latest", "eve", yes=True)
