"""What a run does and in which order: conditions, loops, tries, handlers, rollback, check mode."""

from __future__ import annotations

import json

import pytest
from engine_ops import states

from orchestrator.engine.ask import Answer
from orchestrator.operations import get_run, list_runs
from schemas.errors import NotFound


def test_steps_run_in_order_and_say_what_changed(ops):
    text = """
    steps:
      - {id: first, task: trial.put, with: {path: "{work}/a"}}
      - {id: again, task: trial.put, with: {path: "{work}/a"}}
      - {id: shell, run: "cp {work}/a {{ steps.first.outputs.path }}b"}
    """
    result = ops.run(text)
    assert states(result) == {"first": "changed", "again": "ok", "shell": "changed"}
    assert (result.state, result.exit_code, result.record.changed) == ("succeeded", 0, 2)
    assert ops.left() == {"a", "ab"}


def test_conditions_loops_and_registered_results(ops):
    text = """
    params: {names: {type: list, default: [a, b]}}
    steps:
      - {id: some, loop: "{{ params.names }}", when: item != 'a', task: trial.put,
         with: {path: "{work}/{{ item }}"}, register: written}
      - {id: shown, run: "echo {{ written.results | length }}; echo to-stderr >&2; exit 0"}
      - {id: words, loop: "{{ steps.shown.outputs.stdout.split() }}", task: trial.put,
         with: {path: "{work}/n{{ item }}"}}
      - {id: not_now, when: not written.changed, run: "false"}
    """
    result = ops.run(text)
    assert result.state == "succeeded"
    assert ops.left() == {"b", "n2"}
    assert states(result)["not_now"] == "skipped"
    shown = next(one for one in result.entries if one.step == "shown" and one.state == "changed")
    assert shown.outputs == {"stdout": "2", "stderr": "to-stderr", "exit_code": 0}


def test_a_failed_precondition_leaves_everything_as_it_is(ops):
    text = """
    preconditions:
      - {name: Room enough, task: trial.fail, with: {message: no room}}
    steps:
      - {id: write, task: trial.put, with: {path: "{work}/a"}}
    on_failure: {steps: [{run: "touch {work}/handled"}]}
    on_exit: [{run: "touch {work}/left"}]
    """
    result = ops.run(text)
    assert (result.state, result.exit_code) == ("failed", 1)
    assert result.record.failed_step == "precondition_1"
    assert "no room" in result.record.error
    assert result.hint == "look closer"
    assert ops.left() == {"left"}


def test_a_retry_waits_and_stops_when_it_works(ops):
    text = """
    steps:
      - id: third_time
        run: "echo x >> {work}/tries; test $(wc -l < {work}/tries) -ge 3"
        retry: {limit: 5, delay: 1ms, backoff: 2}
    """
    result = ops.run(text)
    tries = [one.state for one in result.entries if one.state != "started"]
    assert tries == ["retrying", "retrying", "changed"]
    assert result.state == "succeeded"


@pytest.mark.parametrize(("code", "tries"), [(7, 3), (8, 1)])
def test_a_retry_can_be_for_certain_exit_codes_only(ops, code, tries):
    text = f"""
    steps:
      - id: one
        run: "echo x >> {{work}}/tries; exit {code}"
        retry: {{limit: 3, delay: 1ms, on_exit_codes: [7]}}
    """
    assert ops.run(text).exit_code == 1
    assert (ops.work / "tries").read_text().count("x") == tries


def test_a_verification_has_its_own_tries_and_its_failure_is_the_steps(ops):
    text = """
    steps:
      - id: good
        task: trial.put
        with: {path: "{work}/a"}
        verify:
          run: "echo x >> {work}/looks; test $(wc -l < {work}/looks) -ge 2"
          retry: {limit: 3, delay: 1ms}
      - id: bad
        task: trial.put
        with: {path: "{work}/b"}
        verify: {run: "test -f {work}/never"}
    """
    result = ops.run(text)
    assert result.record.failed_step == "bad"
    assert states(result, "verify") == {"good": "ok", "bad": "failed"}
    assert result.state == "rolled_back"
    assert ops.left() == {"looks"}, "what the unverified step did is undone too"


def test_an_ignored_failure_can_be_asked_about(ops):
    text = """
    steps:
      - {id: look, run: "exit 4", ignore_errors: true}
      - {id: react, when: steps.look.failed and steps.look.outputs.exit_code == 4,
         run: "touch {work}/reacted"}
    """
    result = ops.run(text)
    assert (states(result)["look"], result.state) == ("ignored", "succeeded")
    assert ops.left() == {"reacted"}


def test_a_rollback_goes_backwards_and_only_over_what_changed(ops):
    (ops.work / "there").write_text("x")
    text = """
    steps:
      - {id: unchanged, task: trial.put, with: {path: "{work}/there"}}
      - {id: first, task: trial.put, with: {path: "{work}/first"}}
      - {id: second, run: "touch {work}/second", undo: {run: "rm {work}/second"}}
      - {id: third, run: "true", undo: {none: it only looks}}
      - {id: breaks, task: trial.fail}
    on_failure: {steps: [{run: "echo {{ run.failed_step }} {{ run.state }} > {work}/handled"}]}
    on_success: [{run: "touch {work}/success"}]
    on_exit: [{run: "echo {{ run.state }} > {work}/exit"}]
    """
    result = ops.run(text)
    assert [
        one.step for one in result.entries if one.phase == "undo" and one.state == "changed"
    ] == [
        "second",
        "first",
    ]
    assert (result.state, result.exit_code) == ("rolled_back", 5)
    assert ops.left() == {"there", "handled", "exit"}
    assert (ops.work / "handled").read_text() == "breaks rolled_back\n"
    assert (ops.work / "exit").read_text() == "rolled_back\n"


def test_a_failed_undo_is_told_and_the_others_still_run(ops):
    text = """
    steps:
      - {id: first, task: trial.put, with: {path: "{work}/first"}}
      - {id: second, task: trial.put, with: {path: "{work}/second"}}
      - {id: breaks, run: "rm {work}/second; exit 1"}
    """
    result = ops.run(text)
    assert states(result, "undo") == {"second": "failed", "first": "changed"}
    assert (result.state, result.exit_code) == ("failed", 1)
    assert "the rollback is not complete: could not be undone: second" in result.record.error
    assert ops.left() == set()


def test_a_change_that_nothing_takes_back_is_no_rollback(ops):
    text = """
    steps:
      - {id: first, task: trial.put, with: {path: "{work}/first"}}
      - {id: stuck, run: "touch {work}/stuck"}
      - {id: breaks, task: trial.fail}
    """
    result = ops.run(text)
    assert (result.state, result.exit_code) == ("failed", 1)
    assert "nothing takes back what these changed: stuck" in result.record.error
    assert ops.left() == {"stuck"}


def test_nothing_changed_means_nothing_to_roll_back(ops):
    result = ops.run("steps: [{id: breaks, task: trial.fail}]")
    assert (result.state, result.exit_code) == ("failed", 1)
    assert not states(result, "undo")


def test_what_a_failed_step_had_done_is_undone_where_somebody_says_how(ops):
    text = """
    steps:
      - {id: told_by_task, task: trial.half, with: {path: "{work}/half"}, ignore_errors: true}
      - {id: told_by_runbook, run: "touch {work}/a; exit 1", undo: {run: "rm -f {work}/a"}}
    """
    result = ops.run(text)
    assert result.state == "rolled_back"
    assert ops.left() == set()


def test_rollback_can_be_left_to_a_person(ops):
    text = """
    steps:
      - {id: first, task: trial.put, with: {path: "{work}/first"}}
      - {id: breaks, task: trial.fail}
    on_failure: {rollback: never}
    """
    assert ops.run(text).state == "failed"
    assert ops.left() == {"first"}


@pytest.mark.parametrize("phase", ["on_failure", "on_exit"])
def test_a_failing_handler_spoils_even_a_rollback(ops, phase):
    handler = "{steps: [{run: exit 1}]}" if phase == "on_failure" else "[{run: exit 1}]"
    text = f"""
    steps:
      - {{id: first, task: trial.put, with: {{path: "{{work}}/first"}}}}
      - {{id: breaks, task: trial.fail}}
    {phase}: {handler}
    """
    result = ops.run(text)
    assert (result.state, result.exit_code) == ("failed", 1)
    assert f"{phase} failed too" in result.record.error
    assert ops.left() == set(), "the rollback itself was done"


def test_a_failing_success_handler_fails_the_run_and_undoes_nothing(ops):
    text = """
    steps: [{id: first, task: trial.put, with: {path: "{work}/first"}}]
    on_success: [{run: "exit 1"}]
    """
    assert ops.run(text).state == "failed"
    assert ops.left() == {"first"}


def test_check_mode_changes_nothing_and_says_what_would(ops):
    text = """
    lock: trial
    steps:
      - {id: write, task: trial.put, with: {path: "{work}/a", text: hello}}
      - {id: shell, run: "touch {work}/b", verify: {run: "false"}}
      - {id: ordinary, task: trial.plain, with: {path: "{work}/c"}}
      - {id: depends, run: "echo {{ steps.shell.outputs.stdout }}"}
    on_exit: [{run: "touch {work}/d"}]
    """
    result = ops.run(text, check=True)
    assert ops.left() == set()
    assert (result.state, result.record.mode, result.record.changed) == ("succeeded", "check", 3)
    assert next(one.diff for one in result.entries if one.diff) == "+hello\n"
    assert states(result)["depends"] == "skipped"
    assert not (ops.home / "state").exists()


def test_a_nested_runbook_runs_inside_and_is_undone_step_by_step(ops):
    ops.write(
        "inner",
        f"""
        params: {{name: {{required: true}}}}
        steps:
          - {{id: one, task: trial.put, with: {{path: "{ops.work}/{{{{ params.name }}}}"}}}}
          - {{id: two, when: steps.one.changed, run: "true", undo: {{none: it only looks}}}}
        """,
    )
    text = """
    steps:
      - {id: name, run: "echo deep", undo: {none: it only looks}}
      - {id: nested, runbook: inner, with: {name: "{{ steps.name.outputs.stdout }}"}}
      - {id: breaks, when: steps.nested.changed, task: trial.fail}
    """
    result = ops.run(text)
    assert states(result)["nested.one"] == "changed"
    assert states(result, "undo") == {"nested.one": "changed"}
    assert result.state == "rolled_back"
    assert ops.left() == set()


@pytest.mark.parametrize(("yes", "state"), [(True, "succeeded"), (False, "failed")])
def test_a_person_is_asked_where_the_runbook_says_so(ops, yes, state):
    asked = []

    def ask(question):
        asked.append((question.kind, question.text, get_run("latest")[0].state))
        return Answer(yes, "ana")

    text = """
    steps:
      - {id: by_hand, manual: Pull the cable., approval: {prompt: Sure?}}
    """
    result = ops.run(text, ask=ask)
    assert result.state == state
    assert asked[0] == ("approval", "Sure?", "waiting")
    assert asked[1:] == [("manual", "Pull the cable.", "waiting")] * yes


def test_a_question_that_nobody_answers_fails_its_step(ops):
    result = ops.run("steps: [{id: by_hand, manual: Pull the cable., timeout: 200ms}]")
    assert result.state == "failed"
    assert "nobody answered within 200 ms" in result.record.error


def test_a_fault_in_a_task_fails_the_step_and_keeps_the_traceback(ops):
    result = ops.run("steps: [{id: faulty, task: trial.faulty}]")
    assert result.record.error == (
        f"faulty on this-machine: {ops.folder}/runbooks/trial.yaml:4: "
        "trial.faulty: ZeroDivisionError: division by zero"
    )
    trace = ops.runs / result.record.run_id / "trace.log"
    assert "1 / 0" in trace.read_text()


def test_the_whole_run_has_a_timeout(ops):
    text = """
    timeout: 200ms
    steps:
      - {id: slow, task: trial.linger, with: {seconds: 5}}
      - {id: late, run: "touch {work}/late"}
    on_exit: [{run: "touch {work}/exit"}]
    """
    result = ops.run(text)
    assert result.record.failed_step == "late"
    assert "longer than it may" in result.record.error
    assert ops.left() == {"exit"}, "handlers have time of their own"


def test_runs_are_kept_and_found(ops):
    first = ops.run("steps: [{id: one, run: 'true'}]", name="first")
    second = ops.run("steps: [{id: one, run: 'false'}]", name="second")
    assert [one.run_id for one in list_runs()] == [second.record.run_id, first.record.run_id]
    assert [one.runbook for one in list_runs(state="failed")] == ["second"]
    assert get_run("latest")[0].runbook == "second"
    record, entries = get_run(first.record.run_id)
    assert (record.state, [one.state for one in entries]) == ("succeeded", ["started", "changed"])
    with pytest.raises(NotFound):
        get_run("nonsense")


def test_a_run_is_a_tracked_session_even_while_the_tracker_is_down(ops):
    result = ops.run("steps: [{id: one, run: 'true'}, {id: two, run: 'exit 3'}]")
    spool = ops.folder.parent / "session-buddy" / "spool"
    lines = [line for path in spool.glob("*.jsonl") for line in path.read_text().splitlines()]
    events = [json.loads(line) for line in lines]
    assert [event["event_type"] for event in events] == [
        "session_start",
        "step",
        "step",
        "session_end",
    ]
    assert events[0]["session"]["run_id"] == result.record.run_id
    assert events[0]["session"]["session_type"] == "runbook"
    assert (events[2]["data"]["step"], events[2]["exit_code"]) == ("two", 1)
    assert (events[3]["data"]["state"], events[3]["exit_code"]) == ("failed", 1)


def test_strict_recording_refuses_to_run_without_a_record(ops):
    from schemas.errors import StepFailed

    (ops.folder.parent / "session-buddy").write_text("a file where the spool's folder should be")
    text = "recording: strict\nsteps: [{id: one, run: 'touch {work}/a'}]"
    with pytest.raises(StepFailed):
        ops.run(text)
    assert ops.left() == set()
    assert get_run("latest")[0].state == "failed"
    assert ops.run(text.replace("strict", "best_effort")).state == "succeeded"
