"""What a person or a program sees of a run, a plan or a history on standard output.

Prints what ``operations`` tell; decides nothing. Colour and progress only on a terminal.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from schemas.run import step_label
from schemas.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from orchestrator.engine.listing import Plan, PlanRow
    from orchestrator.engine.report import RunEvent
    from orchestrator.engine.run import RunResult
    from orchestrator.live import LiveTable
    from schemas.run import JournalEntry, RunRecord

MARKS = {
    "ok": ("✓", "32"),
    "changed": ("●", "33"),
    "skipped": ("-", "2"),
    "failed": ("✗", "31"),
    "ignored": ("!", "33"),
    "retrying": ("…", "2"),
    "approved": ("✓", "32"),
}
"""Sign and ANSI colour of a finished entry, by its state."""

NOTEWORTHY = {"failed", "ignored", "retrying"}
"""States of entries that stay on the screen, as lines above a live table."""

HEADINGS = {
    "precondition": "Checks",
    "step": "Steps",
    "verify": "Steps",
    "undo": "Undo",
    "on_failure": "After the failure",
    "on_success": "After the success",
    "on_exit": "In the end",
}
ENDINGS = {
    "succeeded": "done",
    "failed": "FAILED",
    "rolled_back": "FAILED and rolled back",
    "cancelled": "cancelled",
    "interrupted": "interrupted",
}
OUTCOMES = ("unreachable", "failed", "cancelled", "skipped", "changed", "ok")
"""How a host can come out of a run, the worst first."""
_TITLE_WIDTH = 46
_CLEAR_LINE = "\r\033[K"


class RunPrinter:
    """Prints a run as it goes on, a line a finished step; a release that a step names, at the end.

    Of several hosts a terminal shows a live table, and lines only about what went wrong.

    Args:
        diffs: show what a step changed, line by line.
        closing: lines to end a successful run with, by their label.
        live: the run goes on; False: it is one of the past.
        asks: questions are put to a person; False: they are answered beforehand.
    """

    def __init__(
        self,
        *,
        diffs: bool = False,
        closing: Mapping[str, str] | None = None,
        live: bool = True,
        asks: bool = True,
    ) -> None:
        self._diffs = diffs
        self._asks = asks
        self._live = live
        self._table: LiveTable | None = None
        self._closing = dict(closing or {})
        self._heading = ""
        self._release = ""
        self._terminal = sys.stdout.isatty()
        self._colour = self._terminal and not os.environ.get("NO_COLOR")

    def __call__(self, event: RunEvent) -> None:
        """Print one event."""
        if self._table is None:
            self._clear()
        if event.kind == "started":
            print(self._title(event.record), flush=True)
            self._table = self._new_table(event.record)
        elif event.entry is not None:
            self._entry(event.entry, several_hosts=len(event.record.hosts) > 1)
        elif event.kind == "note":
            self._say(f"  {event.text}")
        elif event.kind in {"waiting", "answered"}:
            self._question(event)
        elif event.kind == "finished":
            if self._table is not None:
                self._table.finish(event.record.outcomes)
            self._finished(event.record)
        sys.stdout.flush()

    def _new_table(self, record: RunRecord) -> LiveTable | None:
        from orchestrator import live

        if not self._live or not live.fits(record.hosts):
            return None
        return live.LiveTable(record.hosts, colour=self._colour)

    def _say(self, line: str) -> None:
        if self._table is None:
            print(line)
        else:
            self._table.say(line)

    def _question(self, event: RunEvent) -> None:
        if event.kind == "answered":
            if self._table is not None:
                self._table.answered()
        elif self._table is None:
            print(f"  {event.text}")
        elif self._asks:
            # Whoever asks writes the question below the table.
            self._table.ask(event.record.waiting_for.get("host", ""))

    def _title(self, record: RunRecord) -> str:
        mode = "  (check: nothing is changed)" if record.mode == "check" else ""
        hosts = ", ".join(record.hosts)
        return f"{record.title} on {hosts}  [{record.run_id}, plan {record.plan_hash[:8]}]{mode}"

    def _entry(self, entry: JournalEntry, *, several_hosts: bool) -> None:
        title = entry.title if entry.item is None else f"{entry.title} ({entry.item})"
        if several_hosts:
            title = f"{entry.host}: {title}"
        if self._table is not None:
            self._table.hear(entry)
        if entry.state == "started":
            self._progress(title)
            return
        self._release = entry.outputs.get("release", self._release)
        shown = entry.state in NOTEWORTHY or bool(self._diffs and entry.diff)
        if self._table is not None and not shown:
            return
        if HEADINGS[entry.phase] != self._heading:
            self._heading = HEADINGS[entry.phase]
            self._say(f"\n{self._heading}")
        sign, colour = MARKS[entry.state]
        took = format_duration(entry.duration_seconds) if entry.duration_seconds else ""
        words = f"{title:<{_TITLE_WIDTH}} {entry.state:<8} {took:>8}  {entry.message}".rstrip()
        self._say(f"  {self._painted(sign, colour)} {words}")
        if entry.error:
            self._fault(entry)
        if self._diffs and entry.diff:
            self._say(indented(entry.diff, self._painted))

    def _fault(self, entry: JournalEntry) -> None:
        for line in entry.error.splitlines():
            self._say(f"      {self._painted(line, '31')}")
        for line in entry.hint.splitlines():
            self._say(f"      {line}")

    def _finished(self, record: RunRecord) -> None:
        took = format_duration(record.duration_seconds or 0)
        would = "would change" if record.mode == "check" else "changed"
        count = f"{record.changed} step{'s' if record.changed != 1 else ''} {would}"
        if record.changed == 0:
            count = "nothing would change" if record.mode == "check" else "nothing changed"
        print(f"\n{record.title}: {ENDINGS.get(record.state, record.state)} in {took}, {count}.")
        for line in () if self._table is not None else outcome_lines(record):
            print(f"  {line}")
        lines = {"log": f"invoke runbook.log --run {record.run_id}"}
        if record.state == "succeeded" and record.mode == "run":
            release = {"release": self._release} if self._release else {}
            lines = release | self._closing | lines
        for label, text in lines.items():
            print(f"  {label + ':':<11} {text}")

    def _progress(self, title: str) -> None:
        if self._terminal and self._table is None:
            print(self._painted(f"  … {title}", "2"), end="")

    def _clear(self) -> None:
        if self._terminal:
            print(_CLEAR_LINE, end="")

    def _painted(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text


def outcome_lines(record: RunRecord) -> list[str]:
    """How the hosts came out of a run on several, a line an outcome; the worst first."""
    if len(record.outcomes) < 2:  # noqa: PLR2004 -- of one host the run's state says it
        return []
    hosts: dict[str, list[str]] = {}
    for name, outcome in record.outcomes.items():
        hosts.setdefault(outcome, []).append(name)
    order = [outcome for outcome in OUTCOMES if outcome in hosts]
    return [f"{outcome + ':':<13} {', '.join(hosts[outcome])}" for outcome in order]


def fault_of(result: RunResult) -> str:
    """Why a run did not end well, and what to do next."""
    record = result.record
    fallback = record.error or ENDINGS.get(record.state, record.state)
    if record.state == "cancelled":
        # The step that was stopped did not fail by itself.
        return f"{fallback}\n  {result.hint}" if result.hint else fallback
    for entry in result.entries:
        if entry.state == "failed":
            hint = f"\n  {entry.hint}" if entry.hint else ""
            label = step_label(entry.phase, entry.step, entry.title)
            return f"{label} on {entry.host}: {entry.error}{hint}"
    return fallback


def indented(diff: str, painted: Callable[[str, str], str]) -> str:
    """A diff below its step, added lines green and removed ones red where there is colour."""
    colours = {"+": "32", "-": "31", "@": "36"}
    lines = [painted(line, colours.get(line[:1], "0")) for line in diff.splitlines()]
    return "\n".join(f"      {line}" for line in lines)


def print_event_as_json(event: RunEvent) -> None:
    """One JSON object a line: entries as they come, and the record at the start and the end."""
    body: dict[str, Any] = {"event": event.kind}
    if event.entry is not None:
        body |= event.entry.as_dict()
    elif event.text:
        body["text"] = event.text
    else:
        body |= event.record.as_dict()
    print(json.dumps(body, default=str), flush=True)


def print_plan(plan: Plan) -> None:
    """What would be done, step by step and host by host."""
    print(f"Plan {plan.hash[:8]} of {plan.loaded.runbook.name}: {plan.loaded.runbook.title}")
    shown = {name: value for name, value in plan.shown_params().items() if value not in (None, "")}
    if shown:
        print("  with " + ", ".join(f"{name}={value}" for name, value in shown.items()))
    for name, why in plan.missing.items():
        print(f"  without {name}, which is unreachable: {why}")
    for hosts, rows in plan.groups():
        several = f"{len(hosts)} hosts: " if len(hosts) > 1 else ""
        print(f"\nOn {several}{', '.join(hosts)}")
        _print_rows(rows)
    print(f"\nTo do exactly this: the same command with --apply {plan.hash[:8]}")


def _print_rows(rows: Iterable[PlanRow]) -> None:
    heading = ""
    for row in rows:
        if HEADINGS[row.phase] != heading:
            heading = HEADINGS[row.phase]
            print(f"  {heading}")
        note = f"  ({row.note})" if row.note else ""
        print(f"    {row.id:<20} {row.title}{note}")
        if row.action:
            print(f"    {'':<20}   {row.action}")


def print_json(data: Any) -> None:
    """Any data, for programs."""
    print(json.dumps(data, indent=2, default=str))


def print_table(titles: list[str], rows: Iterable[list[str]], empty: str) -> None:
    """Rows under their titles, or a line that says that there are none.

    On a narrow screen the last column is left out.
    """
    from tracker.client.table import table

    cells = list(rows)
    print(table(titles, cells, optional=titles[-1:]) if cells else empty)


def print_journal(record: RunRecord, entries: Iterable[JournalEntry], *, diffs: bool) -> None:
    """A run of the past, as it was printed when it went on."""
    from orchestrator.engine.report import RunEvent

    printer = RunPrinter(diffs=diffs, live=False)
    printer(RunEvent("started", record))
    for entry in entries:
        if entry.state != "started":
            printer(RunEvent("entry", record, entry))
    printer(RunEvent("finished", record))
    if record.error:
        print(f"  {'error:':<11} {record.error}")


HISTORY_TITLES = ["Run", "State", "Took", "Changed", "Started"]


def history_row(record: RunRecord) -> list[str]:
    """A run as a row under ``HISTORY_TITLES``."""
    from tracker.client.table import local_time

    took = format_duration(record.duration_seconds) if record.duration_seconds is not None else ""
    started = local_time(record.started_at)
    return [record.run_id, state_of(record), took, str(record.changed), started]


def state_of(record: RunRecord) -> str:
    """A run's state; one that changed nothing because it only checked says so."""
    return f"{record.state} (check)" if record.mode == "check" else record.state
