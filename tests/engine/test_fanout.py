"""Several hosts at a time: batches, percentages, what is done once, and stopping all of them."""

from __future__ import annotations

import signal
import threading

import pytest
from engine_ops import until

from orchestrator.console import RunPrinter
from orchestrator.engine.ask import Answer
from orchestrator.engine.liveness import process_started
from orchestrator.operations import get_run


@pytest.fixture
def farm(ops):
    """Makes an inventory with hosts on this machine, each with a home of its own."""

    def make(count):
        lines = "".join(
            f"  h{number}: {{connection: local, home: {ops.work.parent}/homes/h{number}}}\n"
            for number in range(1, count + 1)
        )
        (ops.folder / "inventory.yaml").write_text(f"schema_version: 1\nhosts:\n{lines}")
        return ops

    return make


def entries(result, step, *, state=None):
    return [one for one in result.entries if one.step == step and state in (None, one.state)]


MEET = """
steps:
  - id: meet
    run: |
      touch {work}/{{ host.name }}
      until test $(ls {work} | grep -c ^h) -ge COUNT; do sleep 0.01; done
    timeout: 20s
    undo: {none: it only waits}
"""


def test_the_hosts_of_a_batch_work_at_the_same_time(farm):
    ops = farm(3)
    result = ops.run(MEET.replace("COUNT", "3"))
    assert result.state == "succeeded", "each waited until all three had come"
    assert result.record.outcomes == {"h1": "changed", "h2": "changed", "h3": "changed"}


def test_no_more_hosts_at_a_time_than_forks(farm):
    ops = farm(4)
    text = """
    steps:
      - id: count
        run: |
          mkdir {work}/in-{{ host.name }}; ls -d {work}/in-* | wc -l >> {work}/seen
          sleep 0.05; rmdir {work}/in-{{ host.name }}
        undo: {none: it only counts}
    """
    assert ops.run(text, forks=2).state == "succeeded"
    assert max(int(line) for line in (ops.work / "seen").read_text().split()) <= 2


def test_a_batch_begins_when_the_one_before_is_over(farm):
    ops = farm(5)
    text = """
    serial: [1, 2]
    steps:
      - {id: a, run: "true", undo: {none: nothing}}
      - {id: b, run: "true", undo: {none: nothing}}
    """
    result = ops.run(text)
    order = [one.host for one in result.entries if one.state == "changed"]
    assert set(order[:2]) == {"h1"}
    assert set(order[2:6]) == {"h2", "h3"}
    assert set(order[6:]) == {"h4", "h5"}


@pytest.mark.parametrize(
    ("failing", "percentage", "serial", "outcomes", "state"),
    [
        ("", 0, "[]", "changed changed changed changed", "succeeded"),
        ("h1", 0, "[1]", "failed skipped skipped skipped", "failed"),
        ("h1", 25, "[1]", "failed changed changed changed", "failed"),
        ("h1 h3", 25, "[1]", "failed cancelled failed skipped", "rolled_back"),
        ("h1 h3", 50, "[2]", "failed changed failed changed", "failed"),
        ("h1 h2 h3 h4", 100, "[]", "failed failed failed failed", "failed"),
        ("h2", 24, "[1]", "cancelled failed skipped skipped", "rolled_back"),
    ],
)
def test_how_many_hosts_may_fail(farm, failing, percentage, serial, outcomes, state):
    ops = farm(4)
    result = ops.run(
        f"""
        serial: {serial}
        max_fail_percentage: {percentage}
        steps:
          - {{id: gate, run: "case ' {failing} ' in *' {{{{ host.name }}}} '*) exit 1;; esac",
             undo: {{none: it only looks}}}}
          - {{id: put, task: trial.put, with: {{path: "{{work}}/{{{{ host.name }}}}"}}}}
        """
    )
    told = list(result.record.outcomes.values())
    assert (told, result.state) == (outcomes.split(), state), result.record.error
    assert ops.left() == {
        name for name, told in result.record.outcomes.items() if told == "changed"
    }


def test_only_the_failed_hosts_changes_are_undone_where_some_may_fail(farm):
    ops = farm(3)
    result = ops.run(
        """
        max_fail_percentage: 40
        steps:
          - {id: put, task: trial.put, with: {path: "{work}/{{ host.name }}"}}
          - {id: gate, run: "test {{ host.name }} != h2", undo: {none: it only looks}}
        on_failure: {steps: [{run: "touch {work}/told-{{ host.name }}"}]}
        """
    )
    assert result.state == "failed"
    assert result.record.error == "gate on h2: test h2 != h2 ended with 1"
    assert ops.left() == {"h1", "h3", "told-h1", "told-h2", "told-h3"}


def test_an_undo_that_fails_on_one_host_is_told_and_the_others_are_undone(farm):
    ops = farm(3)
    result = ops.run(
        """
        steps:
          - {id: first, task: trial.put, with: {path: "{work}/first-{{ host.name }}"}}
          - {id: second, task: trial.put, with: {path: "{work}/second-{{ host.name }}"}}
          - {id: spoil, run: "test {{ host.name }} != h2 || rm {work}/second-h2",
             undo: {none: the trial}}
          - {id: all, run_once: true, run: "exit 1"}
        """
    )
    assert result.state == "failed", "an incomplete rollback is no rollback"
    assert "h2: second: " in result.record.error
    assert ops.left() == set()


def test_what_is_done_once_is_waited_for_and_seen_by_all_also_in_later_batches(farm):
    ops = farm(4)
    result = ops.run(
        """
        serial: [2]
        steps:
          - {id: once, run_once: true, run: "sleep 0.2; echo x >> {work}/once; echo told",
             undo: {none: a log}}
          - {id: see, run: "echo {{ steps.once.outputs.stdout }} $(cat {work}/once)",
             undo: {none: it only looks}}
        """
    )
    seen = [one.outputs["stdout"] for one in entries(result, "see", state="changed")]
    assert seen == ["told x"] * 4
    waited = {one.host: one.message for one in entries(result, "once", state="skipped")}
    assert waited == dict.fromkeys(["h2", "h3", "h4"], "done once, on h1")


def test_what_is_done_once_and_fails_fails_everywhere(farm):
    ops = farm(2)
    result = ops.run('steps: [{id: once, run_once: true, run: "exit 1"}]')
    assert set(result.record.outcomes.values()) <= {"failed", "cancelled"}
    assert result.record.error == "once on h1: exit 1 ended with 1"
    assert len(entries(result, "once", state="started")) == 1


def test_another_host_does_what_is_done_once_when_the_first_has_failed(farm):
    ops = farm(3)
    result = ops.run(
        """
        max_fail_percentage: 50
        steps:
          - {id: gate, run: "test {{ host.name }} != h1", undo: {none: it only looks}}
          - {id: once, run_once: true, run: "echo x >> {work}/once", undo: {none: a log}}
        """
    )
    assert (ops.work / "once").read_text() == "x\n"
    assert result.record.outcomes["h1"] == "failed"
    assert {entry.host for entry in entries(result, "once", state="changed")} <= {"h2", "h3"}


def test_a_step_done_once_is_planned_on_the_first_host_that_it_is_for(farm):
    ops = farm(3)
    plan = ops.plan("steps: [{id: once, run_once: true, hosts: 'h2,h3', run: 'true'}]")
    assert [(row.host, row.id) for row in plan.rows()] == [("h2", "once")]


def test_questions_of_several_hosts_come_one_at_a_time(farm):
    ops = farm(3)
    open_questions, most = [], []
    lock = threading.Lock()

    def answer(question):
        with lock:
            open_questions.append(question)
            most.append(len(open_questions))
        with lock:
            open_questions.remove(question)
        return Answer(yes=True, by="me")

    result = ops.run("steps: [{id: hand, manual: 'look at it'}]", ask=answer)
    assert (result.state, most) == ("succeeded", [1, 1, 1])


def test_the_journal_has_every_line_of_every_host_in_its_order(farm):
    ops = farm(6)
    steps = "\n".join(f'  - {{id: s{n}, run: "echo {n}"}}' for n in range(15))
    result = ops.run(f"steps:\n{steps}\n")
    _, journal = get_run(result.record.run_id)
    assert len(journal) == 6 * 15 * 2
    for host in result.record.hosts:
        mine = [(one.step, one.state) for one in journal if one.host == host]
        assert mine == [(f"s{n}", state) for n in range(15) for state in ("started", "changed")]


SLEEPING = """
steps:
  - {id: put, task: trial.put, with: {path: "{work}/put-{{ host.name }}"}}
  - id: wait
    run: "echo $$ > {work}/new-{{ host.name }} && mv {work}/new-{{ host.name }} \
{work}/pid-{{ host.name }}; sleep 60"
    undo: {none: it only waits}
"""


def test_the_second_signal_ends_the_commands_of_all_hosts(farm):
    ops = farm(3)
    process = ops.start(SLEEPING)
    files = [ops.work / f"pid-h{number}" for number in (1, 2, 3)]
    until(lambda: all(file.exists() for file in files) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    for line in process.stdout:
        if "stopping after this step" in line:
            break
    process.send_signal(signal.SIGINT)
    told = process.stdout.read()
    process.stdout.close()
    assert process.wait() == 130, told
    assert all(process_started(int(file.read_text())) is None for file in files)
    record, _ = get_run("latest")
    assert record.state == "cancelled"
    assert "stopped at once by a second SIGINT; nothing was undone of the 3 steps" in record.error
    assert record.outcomes == dict.fromkeys(["h1", "h2", "h3"], "cancelled")


def test_the_end_of_a_run_names_the_hosts_by_their_outcome(farm, capsys):
    ops = farm(3)
    ops.run(
        """
        max_fail_percentage: 40
        steps: [{id: gate, run: "test {{ host.name }} != h2", undo: {none: it only looks}}]
        """,
        listen=RunPrinter(),
    )
    told = capsys.readouterr().out
    assert "  failed:       h2\n  changed:      h1, h3\n" in told


def test_a_request_to_stop_in_the_last_step_comes_too_late(farm):
    ops = farm(2)
    process = ops.start(
        SLEEPING.replace("sleep 60", "until test -f {work}/go; do sleep 0.01; done")
    )
    files = [ops.work / f"pid-h{number}" for number in (1, 2)]
    until(lambda: all(file.exists() for file in files) or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    for line in process.stdout:
        if "stopping after this step" in line:
            break
    (ops.work / "go").touch()
    told = process.stdout.read()
    process.stdout.close()
    assert process.wait() == 0, told
    assert get_run("latest")[0].outcomes == {"h1": "changed", "h2": "changed"}
