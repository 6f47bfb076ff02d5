"""Runs that die, are stopped, take too long or meet each other: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from engine_ops import states, until

from orchestrator.engine.liveness import process_started
from orchestrator.operations import get_run, list_runs

WAITING = """
lock: trial
steps:
  - {id: first, task: trial.put, with: {path: "{work}/first"}}
  - id: wait
    run: |
      echo $$ > {work}/pid.new && mv {work}/pid.new {work}/pid
      for i in $(seq 600); do test -f {work}/go && exit; sleep 0.1; done
    undo: {none: it only waits}
  - {id: last, task: trial.put, with: {path: "{work}/last"}}
on_exit: [{run: "touch {work}/exit"}]
"""


@pytest.fixture
def waiting(ops):
    """A run in a process of its own that has come to its second step."""
    process = ops.start(WAITING)
    until(lambda: (ops.work / "pid").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()[0]
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    end_sleeper(ops)


def end_sleeper(ops):
    """End what a killed run has left behind."""
    try:
        os.killpg(os.getpgid(int((ops.work / "pid").read_text())), signal.SIGKILL)
    except (ProcessLookupError, FileNotFoundError):
        return


def is_gone(ops):
    """Whether the step's process has ended."""
    return process_started(int((ops.work / "pid").read_text())) is None


def test_a_killed_run_is_interrupted_and_its_lock_is_taken_over(ops, waiting):
    waiting.kill()
    waiting.wait()
    (dead,) = list_runs()
    assert (dead.state, dead.error) == ("interrupted", f"its process {dead.pid} died")
    assert [(one.step, one.state) for one in get_run(dead.run_id)[1]] == [
        ("first", "started"),
        ("first", "changed"),
        ("wait", "started"),
    ]
    stored = json.loads((ops.runs / dead.run_id / "run.json").read_text())
    assert stored["state"] == "running", "readers do not write into another run's folder"

    told = []
    text = "lock: trial\nsteps: [{id: one, run: 'true'}]"
    result = ops.run(text, name="next", listen=lambda event: told.append(event.text))
    assert result.state == "succeeded"
    assert dead.run_id in result.notes[0]
    assert "is dead" in result.notes[0]
    assert result.notes[0] in told
    assert not list((ops.home / "state" / "locks").iterdir()), "no lock is stranded"


def test_two_runs_at_once_the_second_says_who_holds_the_lock(ops, waiting):
    second = ops.start(WAITING)
    told, _ = second.communicate()
    (first,) = list_runs()
    assert second.returncode == 3
    assert f"'trial' is locked by the run {first.run_id}" in told
    assert f"(process {waiting.pid}) since {first.started_at}" in told
    assert waiting.poll() is None, "the first goes on"


def test_a_lock_of_one_name_does_not_hold_up_another(ops, waiting):
    assert waiting.poll() is None
    assert ops.run("lock: other\nsteps: [{id: one, run: 'true'}]", name="other").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_the_run_after_the_step_and_undoes(ops, waiting, number):
    interrupt(waiting, number)
    assert not is_gone(ops), "the step goes on"
    (ops.work / "go").touch()
    told = waiting.stdout.read()
    waiting.wait()
    assert waiting.returncode == 130, told
    record, entries = get_run("latest")
    assert record.state == "cancelled"
    assert [(one.step, one.state) for one in entries if one.phase == "undo"] == [
        ("first", "started"),
        ("first", "changed"),
    ]
    assert ops.left() == {"pid", "go", "exit"}


def test_the_second_signal_stops_now_and_takes_the_steps_processes_along(ops, waiting):
    interrupt(waiting, signal.SIGINT)
    waiting.send_signal(signal.SIGINT)
    told = waiting.stdout.read()
    assert waiting.wait() == 130, told
    until(lambda: is_gone(ops))
    record, _ = get_run("latest")
    assert record.state == "cancelled"
    assert "stopped at once by a second SIGINT; nothing was undone of the 1 steps" in record.error
    assert ops.left() == {"pid", "first"}
    assert not list((ops.home / "state" / "locks").iterdir())


def interrupt(process, number):
    """Ask a run to stop, and wait until it says that it will."""
    process.send_signal(number)
    for line in process.stdout:
        if "stopping after this step" in line:
            return
    pytest.fail("the run ended without a word about stopping")


def test_a_step_that_never_ends_is_ended_with_all_its_children(ops):
    text = """
    steps:
      - id: endless
        timeout: 300ms
        run: "trap '' TERM; (trap '' TERM; sleep 60) & echo $! > {work}/pid; sleep 60"
    """
    result = ops.run(text)
    assert result.state == "failed"
    assert "did not end within 300 ms and was ended" in result.record.error
    until(lambda: is_gone(ops))


def test_a_step_may_leave_a_process_behind_that_holds_its_output(ops):
    result = ops.run("steps: [{id: daemon, run: 'sleep 60 & echo $! > {work}/pid; echo started'}]")
    assert result.entries[-1].outputs["stdout"] == "started"
    assert not is_gone(ops), "it was not this run's to end"
    os.kill(int((ops.work / "pid").read_text()), signal.SIGKILL)


def test_a_step_that_fails_after_the_request_still_ends_in_a_cancelled_run(ops, waiting):
    interrupt(waiting, signal.SIGTERM)
    end_sleeper(ops)
    assert waiting.wait() == 130
    assert get_run("latest")[0].failed_step == "wait"


def test_what_cleans_up_after_a_request_to_stop_has_all_its_tries(ops, waiting):
    again = "echo x >> {work}/tries; test $(wc -l < {work}/tries) -ge 3"
    text = WAITING.replace("trial", "cleaning", 1).replace(
        "on_exit: [", f'on_exit: [{{run: "{again}", retry: {{limit: 3, delay: 1ms}}}}, '
    )
    (ops.work / "pid").unlink()
    process = ops.start(text, name="cleaning")
    until((ops.work / "pid").exists)
    interrupt(process, signal.SIGTERM)
    (ops.work / "go").touch()
    process.communicate()
    assert process.returncode == 130
    assert (ops.work / "tries").read_text() == "x\n" * 3


def test_a_waiting_retry_ends_when_somebody_asks_to_stop(ops):
    process = ops.start(
        """
        steps:
          - {id: never, run: "echo x >> {work}/tries; exit 1", retry: {limit: 9, delay: 10m}}
        """
    )
    until((ops.work / "tries").exists)
    until(lambda: any(one.state == "retrying" for one in get_run("latest")[1]))
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 130


def test_ten_kills_at_ten_steps_leave_ten_truthful_journals(ops):
    """kill -9 by the run itself, in each step in turn."""
    for victim in range(10):
        names = [f"s{number}" for number in range(10)]
        tasks = dict.fromkeys(names, 'trial.put, with: {path: "{work}/x"}')
        tasks[names[victim]] = "trial.die"
        steps = "\n".join(f"  - {{id: {name}, task: {task}}}" for name, task in tasks.items())
        assert ops.die(f"lock: trial\nsteps:\n{steps}\n") == -signal.SIGKILL
        record, entries = get_run("latest")
        assert record.state == "interrupted"
        finished = [one.step for one in entries if one.state != "started"]
        assert finished == names[:victim]
        assert (entries[-1].step, entries[-1].state) == (f"s{victim}", "started")
    assert ops.run("lock: trial\nsteps: [{id: one, run: 'true'}]").state == "succeeded"


def test_output_of_any_size_and_kind_is_kept_within_bounds(ops):
    text = """
    steps:
      - {id: large, run: "head -c 30000000 /dev/zero | tr '\\\\0' x; echo end"}
      - {id: binary, run: "head -c 1000 /dev/urandom; exit 0"}
      - {id: reader, run: "cat; echo read nothing"}
    """
    result = ops.run(text)
    assert states(result) == dict.fromkeys(["large", "binary", "reader"], "changed")
    large = next(one for one in result.entries if one.step == "large" and one.outputs)
    assert large.outputs["stdout"].endswith("xxxend")
    assert (ops.runs / result.record.run_id / "journal.jsonl").stat().st_size < 500_000


def test_a_lock_that_is_damaged_says_what_to_do(ops):
    locks = ops.home / "state" / "locks"
    locks.mkdir(parents=True)
    (locks / "trial.lock").write_text("garbage\n")
    process = ops.start("lock: trial\nsteps: [{id: one, run: 'true'}]")
    told, _ = process.communicate()
    assert process.returncode == 3
    assert f"rm {locks}/trial.lock" in told


def test_a_lock_of_another_machine_is_never_taken_over(ops, waiting):
    waiting.kill()
    waiting.wait()
    lock = ops.home / "state" / "locks" / "trial.lock"
    owner = json.loads(lock.read_text()) | {"host": "elsewhere"}
    lock.write_text(json.dumps(owner))
    process = ops.start(WAITING)
    told, _ = process.communicate()
    assert process.returncode == 3
    assert "on elsewhere" in told
    assert lock.exists()
    assert time.time() > owner["process_started"]
