"""Runs that broke off go on where they were: nothing is repeated, nothing is left out."""

from __future__ import annotations

import json
import os
import signal

import pytest

from orchestrator import runs
from orchestrator.operations import get_run, run_runbook
from schemas.errors import Busy, InvalidInput


def ten_steps(victim, end=""):
    """Ten steps that add a line each; before its line one of them kills the run, once."""
    lines = []
    for number in range(10):
        kill = "test -e {work}/once || { touch {work}/once; kill -9 $PPID; sleep 9; }; "
        lines.append(
            f'  - {{id: s{number}, undo: {{none: a log}}, run: "'
            + (kill if number == victim else "")
            + f'echo s{number} >> {{work}}/log"}}'
        )
    return "lock: trial\nsteps:\n" + "\n".join(lines) + "\n" + end


@pytest.mark.parametrize("victim", range(10))
def test_a_run_killed_in_any_of_ten_steps_repeats_none_and_misses_none(ops, victim):
    assert ops.die(ten_steps(victim)) == -signal.SIGKILL
    record, _ = get_run("latest")
    assert record.state == "interrupted"
    result = runs.resume_run(record.run_id)
    assert (result.state, result.record.run_id, result.record.resumed) == (
        "succeeded",
        record.run_id,
        1,
    )
    assert (ops.work / "log").read_text().split() == [f"s{number}" for number in range(10)]
    assert any(f"s{victim} on this-machine was begun" in note for note in result.notes)
    assert any("is dead" in note for note in result.notes), "the lock was taken over"
    assert len(list(ops.runs.iterdir())) == 1, "it is the same run"
    assert get_run("latest")[0].changed == 10
    assert not list((ops.home / "state" / "locks").iterdir())


def test_expressions_see_what_was_finished_before(ops):
    text = """
    steps:
      - {id: make, task: trial.put, with: {path: "{work}/a"}, register: made}
      - id: each
        loop: [1, 1, 2]
        run: "echo {{ item }} >> {work}/log; test -e {work}/go || test {{ item }} = 1"
        undo: {none: a log}
      - id: after
        run: "echo {{ made.outputs.path }} {{ steps.each.results | length }} >> {work}/log"
    on_failure: {rollback: never}
    """
    assert ops.run(text).state == "failed"
    (ops.work / "go").touch()
    result = runs.resume_run("latest")
    assert result.state == "succeeded", result.record.error
    assert (ops.work / "log").read_text().splitlines() == ["1", "1", "2", "2", f"{ops.work}/a 3"]


def test_a_later_failure_rolls_back_what_the_first_process_changed(ops):
    text = """
    steps:
      - {id: first, task: trial.put, with: {path: "{work}/a"}}
      - {id: broken, run: "kill -9 $PPID; sleep 9"}
    """
    broken = "kill -9 $PPID; sleep 9"
    assert ops.die(text) == -signal.SIGKILL
    assert ops.left() == {"a"}
    path = ops.folder / "runbooks" / "trial.yaml"
    path.write_text(path.read_text().replace(broken, "exit 3"))
    result = runs.resume_run("latest", accept_changes=True)
    assert (result.state, result.exit_code, ops.left()) == ("rolled_back", 5, set())


def test_what_was_rolled_back_is_done_again(ops):
    text = """
    steps:
      - {id: first, task: trial.put, with: {path: "{work}/a"}}
      - {id: stays, run: "echo stays >> {work}/log"}
      - {id: broken, run: "test -e {work}/go"}
    """
    assert ops.run(text).state == "failed", "nothing takes back what 'stays' did"
    assert ops.left() == {"log"}
    (ops.work / "go").touch()
    assert runs.resume_run("latest").state == "succeeded"
    assert ops.left() == {"a", "log", "go"}
    assert (ops.work / "log").read_text() == "stays\n"


def test_a_nested_runbook_goes_on_at_its_own_step(ops):
    inner = """
        params: {name: {type: string}}
        steps:
          - {id: one, run: "echo {{ params.name }} one >> {work}/log", undo: {none: a log}}
          - id: two
            run: "{ test {{ params.name }} = a || test -e {work}/go; } && echo two >> {work}/log"
        """
    ops.write("inner", inner.replace("{work}", str(ops.work)))
    text = """
    on_failure: {rollback: never}
    steps:
      - {id: outer, loop: [a, b], runbook: inner, with: {name: "{{ item }}"}}
    """
    assert ops.run(text).state == "failed"
    (ops.work / "go").touch()
    result = runs.resume_run("latest")
    assert result.state == "succeeded", result.record.error
    assert (ops.work / "log").read_text().splitlines() == ["a one", "two", "b one", "two"]


def test_a_verification_that_was_cut_off_is_made_without_its_step(ops):
    text = """
    steps:
      - id: one
        run: "echo one >> {work}/log"
        undo: {none: a log}
        verify:
          run: |
            test -e {work}/once || { touch {work}/once; kill -9 $PPID; sleep 9; }
            echo seen >> {work}/log
    """
    assert ops.die(text) == -signal.SIGKILL
    assert runs.resume_run("latest").state == "succeeded"
    assert (ops.work / "log").read_text().splitlines() == ["one", "seen"]


def test_a_plan_that_differs_is_refused_and_says_in_what(ops):
    assert ops.die(ten_steps(4)) == -signal.SIGKILL
    path = ops.folder / "runbooks" / "trial.yaml"
    path.write_text(
        path.read_text().replace("echo s7", "echo other").replace("echo s1", "echo gone by")
    )
    with pytest.raises(InvalidInput, match="s7 differs in run") as refused:
        runs.resume_run("latest")
    assert "s1" not in refused.value.message, "what is over may have changed"
    assert runs.resume_run("latest", accept_changes=True).state == "succeeded"
    assert "other" in (ops.work / "log").read_text()


def test_half_a_line_in_the_journal_hides_nothing_of_what_follows(ops):
    assert ops.die(ten_steps(2)) == -signal.SIGKILL
    (folder,) = ops.runs.iterdir()
    with (folder / "journal.jsonl").open("a") as stream:
        stream.write('{"at": "2026')
    assert runs.resume_run("latest").state == "succeeded"
    _, entries = get_run("latest")
    finished = [one.step for one in entries if one.state == "changed"]
    assert finished == [f"s{number}" for number in range(10)]


def test_a_run_that_ended_well_or_only_checked_is_not_resumed(ops):
    text = 'steps: [{id: a, run: "true"}]'
    for options in ({}, {"check": True}):
        ops.run(text, **options)
        with pytest.raises(InvalidInput, match="nothing to go on with"):
            runs.resume_run("latest")


def test_a_live_run_is_busy(ops):
    seen = []

    def listen(event):
        if event.kind == "entry" and not seen:
            with pytest.raises(Busy, match=f"process {os.getpid()}") as busy:
                runs.resume_run("latest")
            with pytest.raises(Busy):
                runs.undo_run("latest")
            seen.append(busy.value.exit_code)

    ops.run('steps: [{id: a, run: "true"}]', listen=listen)
    assert seen == [3]


def test_secrets_are_in_no_record_and_have_to_come_again(ops, monkeypatch):
    text = """
    params:
      word: {type: string, secret: true, env: TRIAL_WORD}
      name: {type: string, default: x}
    on_failure: {rollback: never}
    steps:
      - id: a
        env: {WORD: "{{ params.word }}"}
        run: "test -e {work}/go && test -n \\"$WORD\\""
    """
    ops.run(text, params={"word": "sesame-42", "name": "y"})
    (folder,) = ops.runs.iterdir()
    for path in folder.iterdir():
        assert b"sesame" not in path.read_bytes(), path.name
    (ops.work / "go").touch()
    with pytest.raises(InvalidInput, match="no record keeps secrets") as refused:
        runs.resume_run("latest")
    assert refused.value.hint == "--param word=... or TRIAL_WORD"
    with pytest.raises(InvalidInput, match="'name' is 'y' in the run"):
        runs.resume_run("latest", {"name": "z", "word": "sesame-42"})
    monkeypatch.setenv("TRIAL_WORD", "sesame-42")
    assert runs.resume_run("latest").state == "succeeded"


def test_undo_takes_back_what_a_run_changed_and_goes_on_after_a_failure(ops):
    step = '  - {id: NAME, task: trial.put, with: {path: "{work}/NAME"}}\n'
    text = "steps:\n" + "".join(step.replace("NAME", name) for name in "abc")
    assert ops.run(text).state == "succeeded"
    assert [one.id for one in runs.planned_undo("latest")] == ["c", "b", "a"]
    (ops.work / "b").unlink()
    result = runs.undo_run("latest")
    assert (result.state, result.exit_code, ops.left()) == ("failed", 1, set())
    assert "could not be undone: b" in result.record.error
    assert [one.id for one in runs.planned_undo("latest")] == ["b"]
    (ops.work / "b").touch()
    result = runs.undo_run("latest")
    assert (result.state, ops.left()) == ("rolled_back", set())
    assert runs.planned_undo("latest") == []
    assert len(list(ops.runs.iterdir())) == 1
    record = json.loads((ops.runs / result.record.run_id / "run.json").read_text())
    assert (record["state"], record["resumed"]) == ("rolled_back", 2)


def test_undo_follows_the_runbooks_own_word_with_its_retry(ops):
    text = """
    steps:
      - id: a
        run: "touch {work}/a"
        undo:
          run: "echo x >> {work}/tries; test $(wc -l < {work}/tries) = 2 && rm {work}/a"
          retry: {limit: 2, delay: 1ms}
    """
    assert ops.run(text).state == "succeeded"
    assert runs.undo_run("latest").state == "rolled_back"
    assert ops.left() == {"tries"}


def test_undo_of_a_change_that_nothing_takes_back_says_so(ops):
    ops.run('steps: [{id: a, run: "touch {work}/a"}]')
    result = runs.undo_run("latest")
    assert result.state == "failed"
    assert "nothing takes back what these changed: a" in result.record.error


def test_a_runbook_beside_another_inventory_is_resumed_with_it(ops, tmp_path):
    inventory = tmp_path / "other.yaml"
    hosts = "hosts:\n  here: {connection: local}\n  there: {connection: local}\n"
    inventory.write_text("schema_version: 1\n" + hosts)
    path = ops.write(
        "trial",
        f"""
        on_failure: {{rollback: never}}
        steps:
          - {{id: a, run: "echo {{{{ host.name }}}} >> {ops.work}/log && test -e {ops.work}/go"}}
        """,
    )
    run_runbook(str(path), {}, inventory=inventory, limit="there")
    (ops.work / "go").touch()
    assert runs.resume_run("latest").state == "succeeded"
    assert (ops.work / "log").read_text().split() == ["there", "there"]
