"""Runs of the past: found by filters, compared, and forgotten when nothing needs them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from orchestrator import past_runs
from orchestrator.operations import get_run, list_runs
from schemas.errors import InvalidInput

PLAIN = 'steps: [{id: a, run: "true", undo: {none: nothing}}]'
CHANGING = 'steps: [{id: a, task: trial.put, with: {path: "{work}/a"}}]'
FAILING = 'steps: [{id: a, run: "exit 3", undo: {none: nothing}}]'


def invoke(*words):
    """Run ``invoke`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words], capture_output=True, text=True, check=False
    )


def backdate(ops, run_id, started):
    """Let a run have started earlier."""
    path = ops.runs / run_id / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started_at": started}))


@pytest.fixture
def history(ops):
    """Three runs of three runbooks; the first is from 2020."""
    made = {}
    for name, text in (("plain", PLAIN), ("changing", CHANGING), ("failing", FAILING)):
        made[name] = ops.run(text, name=name).record
    backdate(ops, made["plain"].run_id, "2020-01-02T03:04:05.000+00:00")
    return {name: record.run_id for name, record in made.items()}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), {"plain", "changing", "failing"}),
        (("--runbook", "changing"), {"changing"}),
        (("--state", "failed"), {"failing"}),
        (("--since", "1d"), {"changing", "failing"}),
        (("--until", "2020-02-01"), {"plain"}),
        (("--since", "2020-01-03", "--until", "2021-01-01"), set()),
        (("--host", "this-machine", "--runbook", "plain"), {"plain"}),
        (("--host", "elsewhere"), set()),
        (("--user", "nobody-here"), set()),
    ],
)
def test_history_is_filtered(history, options, names):
    told = invoke("runbook.history", "--json", *options)
    assert told.returncode == 0, told.stderr
    assert {record["runbook"] for record in json.loads(told.stdout)} == names


def test_a_filter_that_is_no_time_is_refused(history):
    assert invoke("runbook.history", "--since", "yesterdayish").returncode == 2


def test_two_runs_are_compared(ops):
    text = """
    params: {word: {type: string, default: x}}
    steps: [{id: a, task: trial.put, with: {path: "{work}/a", text: "{{ params.word }}"}}]
    """
    first = ops.run(text).record.run_id
    second = ops.run(text).record.run_id
    third = ops.run(text, params={"word": "y"}).record.run_id
    found = past_runs.diff_runs(first, second)
    assert found["params"] == {}
    assert [one["state"] for one in found["steps"]["this-machine: step a"]] == ["changed", "ok"]
    assert past_runs.diff_runs(second, third)["params"] == {"word": ["x", "y"]}
    told = invoke("runbook.diff", second, third)
    assert "  word: x -> y" in told.stdout
    assert invoke("runbook.diff", second, "20200101").returncode == 6


def test_what_can_be_resumed_or_undone_is_never_forgotten(ops, history):
    told = invoke("runbook.forget", "--keep-days", "1", "--dry-run")
    assert told.stdout == f"{history['plain']}: would be forgotten\n"
    assert len(list_runs()) == 3
    for name in ("changing", "failing"):
        backdate(ops, history[name], "2020-01-02T03:04:06.000+00:00")
    found = past_runs.forget_runs(keep_days=1)
    assert [record.runbook for record in found.gone] == ["plain"]
    assert {record.runbook: why for record, why in found.kept} == {
        "changing": "it can be undone",
        "failing": "it can be resumed",
    }
    assert {record.runbook for record in list_runs()} == {"changing", "failing"}
    assert not (ops.runs / history["plain"]).exists()


def test_the_newest_runs_of_each_runbook_are_kept(ops):
    made = [ops.run(PLAIN, name=name).record.run_id for name in ("one", "one", "two", "one")]
    found = past_runs.forget_runs(keep_last=2)
    assert [record.run_id for record in found.gone] == [made[0]]
    with pytest.raises(InvalidInput, match="nothing says what to keep"):
        past_runs.forget_runs()


def test_a_run_that_goes_on_is_not_forgotten(ops):
    seen = []

    def listen(event):
        if event.kind == "entry":
            ours = get_run("latest")[0].run_id
            backdate(ops, ours, "2020-01-02T03:04:05.000+00:00")
            seen.append([why for _, why in past_runs.forget_runs(keep_days=1).kept])

    ops.run(PLAIN, listen=listen)
    assert seen
    assert all(why == ["it is alive"] for why in seen)


def test_a_runbook_is_shown_and_planned(ops):
    path = ops.write(
        "trial",
        """
        params: {word: {type: string, default: x, help: what to write}}
        steps: [{id: a, name: Write it, run: "echo {{ params.word }}"}]
        """,
    )
    shown = invoke("runbook.show", str(path))
    assert shown.returncode == 0, shown.stderr
    assert "1. a                    Write it  [run: echo {{ params.word }}]" in shown.stdout
    assert "what to write" in shown.stdout
    data = json.loads(invoke("runbook.show", str(path), "--json").stdout)
    assert data["params"][0]["name"] == "word"
    planned = invoke("runbook.plan", str(path), "--param", "word=y")
    assert "echo y" in planned.stdout
    assert not list_runs()
    for name in ("runbook.show", "runbook.plan"):
        assert invoke(name, "no-such-runbook").returncode == 6
