"""The live table of a run on several hosts, on a real terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from engine_ops import until

from orchestrator import live_runs
from orchestrator.host_table import Host, table_lines
from orchestrator.operations import get_run
from schemas.run import JournalEntry
from tracker.client.table import display_width

PROJECT = Path(__file__).parents[2]
HEAD = ["host", "step", "time", "ok", "changed", "failed", "skip", "retry"]


class Screen:
    """A terminal of its own (tmux), and what it shows."""

    def __init__(self, socket, folder):
        self._socket, self._folder = socket, folder

    def tmux(self, *words):
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *words, columns=80, rows=30, **variables):
        """Run ``invoke`` here; its exit code is shown at the end."""
        kept = [f"{key}={value}" for key, value in (os.environ | variables).items()]
        (self._folder / "start.sh").write_text(
            'trap : INT; cd "$1"; shift; "$@"; echo "EXIT $?"; exec sleep 600\n'
        )
        size = ["-x", str(columns), "-y", str(rows)]
        here = ["sh", str(self._folder / "start.sh"), str(PROJECT)]
        own = [one for one in kept if not one.startswith(("TERM=", "TMUX"))]
        command = ["env", *own, "TERM=screen", *here, sys.executable, "-m", "invoke", *words]
        self.tmux("new-session", "-d", "-s", "here", *size, *command)

    def text(self, *options):
        return self.tmux("capture-pane", "-p", "-J", "-t", "here", *options)

    def type(self, *keys):
        self.tmux("send-keys", "-t", "here", *keys)

    def shows(self, pattern):
        """Wait until a pattern is on the screen; the screen then."""
        seen = [""]

        def look():
            seen[0] = "\n".join(line.rstrip() for line in self.text().splitlines())
            return re.search(pattern, seen[0])

        try:
            until(look)
        except AssertionError:
            pytest.fail(f"{pattern!r} did not come; there is\n{seen[0]}")
        return seen[0]


@pytest.fixture
def screen(tmp_path):
    made = Screen(tmp_path / "tmux", tmp_path)
    yield made
    subprocess.run(["tmux", "-S", str(tmp_path / "tmux"), "kill-server"], check=False)


@pytest.fixture
def trial(ops):
    """Writes a runbook for three hosts with a home each; gives its path."""
    lines = "".join(
        f"  h{number}: {{connection: local, home: {ops.work.parent}/homes/h{number}}}\n"
        for number in (1, 2, 3)
    )
    (ops.folder / "inventory.yaml").write_text(f"schema_version: 1\nhosts:\n{lines}")
    return lambda text: str(ops.write("trial", text.replace("WORK", str(ops.work))))


def gate(name, more=""):
    """A step that waits on each host for a file."""
    return (
        f"  - {{id: {name}, run: 'touch WORK/at-{name}-{{{{ host.name }}}}; until test -f"
        f" WORK/{name}; do sleep 0.02; done', undo: {{none: it waits}}{more}}}\n"
    )


STAYS = """max_fail_percentage: 40
steps:
  - id: flaky
    hosts: h1
    run: "test -e WORK/tried || { touch WORK/tried; exit 3; }"
    retry: {limit: 2}
    undo: {none: it tries}
  - {id: never, when: "host.name == 'h9'", run: "true", undo: {none: nothing}}
"""


def rows(text):
    """``{host: the words of its row}`` of the last table on a screen."""
    last = text[text.rindex("  host ") :]
    found = re.findall(r"^(\S) (h\d) +(.*?)$", last, re.MULTILINE)
    return {name: (sign, *words.split()) for sign, name, words in found}


@pytest.mark.needs("tmux")
@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_shows_each_host_and_stays_as_the_summary(screen, ops, trial, columns):
    path = trial(
        STAYS + gate("wait") + '  - {id: end, run: "test {{ host.name }} != h2",'
        " undo: {none: it looks}}\n"
    )
    screen.start("runbook.run", path, columns=columns)
    told = screen.shows(r"… h1 +Wait[^\n]*\n… h2 +Wait[^\n]*\n… h3 +Wait")
    assert "h1: Flaky" in told, "the line about the second try stays above"
    assert told.index("retrying") < told.index("  host ")
    assert rows(told)["h1"][-5:] == ("-", "1", "-", "1", "1")
    (ops.work / "wait").touch()
    told = screen.shows("EXIT 1")
    table = told[told.index("  host ") :].splitlines()
    assert table[0].split() == HEAD
    assert told.count("  host ") == 1, "drawn in place"
    assert {name: row[:2] for name, row in rows(told).items()} == {
        "h1": ("●", "changed"),
        "h2": ("✗", "failed"),
        "h3": ("●", "changed"),
    }
    assert table[5].startswith("Trial: FAILED in "), table
    assert "✗ h2: End" in told
    assert all(display_width(line) <= columns for line in table[:5])


@pytest.mark.needs("tmux")
def test_a_screen_that_is_resized_has_one_table_in_its_width(screen, ops, trial):
    screen.start("runbook.run", trial(f"steps:\n{gate('wait')}"), columns=120)
    wide = screen.shows("… h3 +Wait")
    screen.tmux("resize-window", "-t", "here", "-x", "80", "-y", "30")

    def narrow():
        found = [line for line in screen.text().splitlines() if line.startswith("  host ")]
        return len(found) == 1 and len(found[0]) < 80 < len(wide.splitlines()[2])

    until(narrow)
    (ops.work / "wait").touch()
    assert screen.shows("EXIT 0").count("… h") == 0


@pytest.mark.needs("tmux")
def test_nothing_is_drawn_over_a_question(screen, ops, trial):
    text = f"""max_fail_percentage: 40
steps:
  - {{id: ask, hosts: h1, run: "true", undo: {{none: nothing}}, approval: {{prompt: "Sure?"}}}}
{gate("wait", ", hosts: h2")}  - id: bad
    hosts: h2
    run: touch WORK/failed; exit 1
    undo: {{none: nothing}}
"""
    screen.start("runbook.run", trial(text))
    asked = screen.shows(r"\? h1 +asks a person")
    asked = screen.shows(r"Go on\? \[y/N\]").rstrip()
    assert asked.endswith("Sure?\nGo on? [y/N]"), "the prompt is the last on the screen"
    (ops.work / "wait").touch()
    until(lambda: any(one.state == "failed" for one in get_run("latest")[1]))
    until(lambda: not (ops.work / "failed").stat().st_size)
    assert screen.text().rstrip() == asked, "what happens elsewhere waits"
    screen.type("y", "Enter")
    told = screen.shows("EXIT 1")
    assert re.search(r"Go on\? \[y/N\] y\n  ✗ h2: Bad|y\n\nSteps\n  ✗ h2: Bad", told)


@pytest.mark.needs("tmux")
def test_a_question_answered_beforehand_leaves_one_table(screen, trial):
    text = """steps:
  - id: ask
    run: "true"
    undo: {none: nothing}
    approval: {prompt: "Sure?", allow_yes: true}
"""
    screen.start("runbook.run", trial(text), "--yes")
    told = screen.shows("EXIT 0")
    assert told.count("  host ") == 1
    assert "Sure?" not in told


@pytest.mark.needs("tmux")
def test_a_question_answered_elsewhere_leaves_the_screen(screen, trial):
    text = """steps:
  - {id: ask, hosts: h1, run: "true", undo: {none: nothing}, approval: {prompt: "Sure?"}}
"""
    screen.start("runbook.run", trial(text))
    screen.shows(r"Go on\? \[y/N\]")
    live_runs.answer_run("latest", yes=True)
    told = screen.shows("EXIT 0")
    assert rows(told)["h1"][:2] == ("●", "changed")


@pytest.mark.needs("tmux")
def test_ctrl_c_says_what_it_will_undo_and_the_second_stops(screen, trial):
    text = (
        "steps:\n"
        '  - {id: put, hosts: "h1,h2", task: trial.put, with: {path: "WORK/{{ host.name }}"}}\n'
        + gate("wait")
    )
    screen.start("runbook.run", trial(text))
    screen.shows(r"… h1 +Wait[^\n]*\n… h2 +Wait[^\n]*\n… h3 +Wait")
    screen.type("C-c")
    told = screen.shows("once more stops now")
    assert (
        "SIGINT: stopping after this step, then undoing 2 changes on 2 hosts so far; once more"
        " stops now\n" in told
    )
    assert screen.shows("… h3 +Wait").count("  host ") == 1, "it goes on below"
    screen.type("C-c")
    told = screen.shows("EXIT 130")
    assert told.count("  host ") == 1
    assert {row[:2] for row in rows(told).values()} == {("!", "cancelled")}


@pytest.mark.needs("tmux")
@pytest.mark.parametrize("no_colour", [True, False])
def test_colour_is_left_out_where_it_is_not_wanted(screen, trial, no_colour):
    variables = {"NO_COLOR": "1"} if no_colour else {"NO_COLOR": ""}
    screen.start("runbook.run", trial('steps: [{id: one, run: "true"}]'), **variables)
    screen.shows("EXIT 0")
    assert ("\033[" in screen.text("-e")) != no_colour


def test_without_a_terminal_there_are_lines_with_the_host_before_them(ops, trial):
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "runbook.run", trial('steps: [{id: a, run: "true"}]')],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {name for name in ("h1", "h2", "h3") if f"  ● {name}: A " in done.stdout} == {
        "h1",
        "h2",
        "h3",
    }
    assert "\033" not in done.stdout


def host(name, **more):
    made = Host(name)
    for key, value in more.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_screen(width):
    busy = host("数据库-primary-of-the-north", began=0.0, doing={("step a", 0): "T" * 300})
    lines = table_lines([busy, host("h2")], width, 24, 3723.0, colour=False)
    assert len(lines) == 4
    assert max(display_width(line) for line in lines) <= width


def test_of_more_hosts_than_lines_the_idle_ones_are_counted():
    hosts = [host(f"h{number}") for number in range(30)]
    hosts[20].doing, hosts[20].began = {("step a", 0): "Busy"}, 0.0
    lines = table_lines(hosts, 80, 10, 1.0, colour=False)
    assert len(lines) <= 10
    assert any(line.startswith("… h20") for line in lines)
    assert lines[-1] == "  and 24 more: 24 to come"


def entry(state, phase="step", step="a", **more):
    return JournalEntry("", phase, step, step.upper(), "h1", state, **more)


def test_a_host_shows_the_innermost_step_and_counts_what_is_over():
    one = Host("h1")
    for told in (
        entry("started", step="outer"),
        entry("started", step="outer.in"),
        entry("retrying", step="outer.in"),
        entry("started", step="outer.in", attempt=2),
    ):
        one.hear(told, 1.0)
    assert one.step() == "OUTER.IN (try 2)"
    one.hear(entry("changed", step="outer.in"), 2.0)
    assert one.step() == "OUTER"
    one.hear(entry("changed", step="outer"), 3.0)
    one.hear(entry("started", "undo"), 4.0)
    assert one.step() == "undo: A"
    one.hear(entry("changed", "undo"), 5.0)
    assert one.counts == {"ok": 1, "changed": 2, "failed": 0, "skipped": 0, "retries": 1}
