"""The hosts of a run as lines of a table: what each does, since when, and what came of its steps.

Pure: knows journal entries and widths, neither the terminal nor the time. Our own few lines, as
``tracker.client.table`` is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.units import format_duration
from tracker.client.table import display_width, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.run import JournalEntry

COUNTS = {
    "ok": "ok",
    "changed": "changed",
    "failed": "failed",
    "skipped": "skip",
    "retries": "retry",
}
"""What is counted of a host, as the columns stand, with their titles: they fit into 80 columns."""
SIGNS = {
    "running": ("…", "0"),
    "asking": ("?", "35"),
    "ok": ("✓", "32"),
    "changed": ("●", "33"),
    "failed": ("✗", "31"),
    "unreachable": ("✗", "31"),
    "cancelled": ("!", "33"),
    "skipped": ("-", "2"),
    "to come": ("·", "2"),
}
"""Sign and ANSI colour of a host, by what it does or how it came out."""
_WORST_FIRST = ("asking", "running", "unreachable", "failed", "cancelled", "changed", "ok")
_TIME = 8
_NARROWEST_STEP = 12


@dataclass
class Host:
    """What the table shows of one host.

    Args:
        name: the host.
        counts: steps by how they ended, and retries.
        doing: titles of the steps that go on, the innermost last, by step and number.
        since: when the innermost began, on ``time.monotonic()``.
        began: when the host's first step began, likewise.
        ended: when its latest ended, likewise.
        asks: a person is asked about it.
        outcome: how it came out; known at the end.
    """

    name: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    doing: dict[tuple[str, int], str] = field(default_factory=dict)
    since: float = 0.0
    began: float | None = None
    ended: float = 0.0
    asks: bool = False
    outcome: str = ""

    def hear(self, entry: JournalEntry, now: float) -> None:
        """Take in a journal entry of this host."""
        key = (f"{entry.phase} {entry.step}", entry.number)
        self.began = now if self.began is None else self.began
        if entry.state == "started":
            title = entry.title if entry.item is None else f"{entry.title} ({entry.item})"
            again = f" (try {entry.attempt})" if entry.attempt > 1 else ""
            undo = "undo: " if entry.phase == "undo" else ""
            self.doing.pop(key, None)
            self.doing[key] = f"{undo}{title}{again}"
            self.since = now
            return
        if entry.state == "retrying":
            self.counts["retries"] += 1
            return
        self.ended = now
        self.doing.pop(key, None)
        # Of checks and undoing the run's own count of changes knows nothing either.
        state = "ok" if entry.state == "changed" and entry.phase != "step" else entry.state
        if state in self.counts:
            self.counts[state] += 1

    @property
    def state(self) -> str:
        """What it does, or how it came out; a key of ``SIGNS``."""
        if self.outcome:
            return self.outcome
        if self.asks:
            return "asking"
        if self.doing:
            return "running"
        if self.began is None:
            return "to come"
        return next((one for one in ("failed", "changed") if self.counts[one]), "ok")

    def step(self) -> str:
        """What stands in its column of steps."""
        title = next(reversed(self.doing.values()), "")
        if self.outcome:
            return self.outcome
        if self.asks:
            return f"asks a person{': ' if title else ''}{title}"
        return title or ("to come" if self.began is None else "")

    def seconds(self, now: float) -> float | None:
        """Of the step that goes on, else of all that was done here; None: nothing was."""
        if self.began is None:
            return None
        if self.outcome or not self.doing:
            return self.ended - self.began if self.ended else None
        return now - self.since


def table_lines(
    hosts: Sequence[Host], width: int, height: int, now: float, *, colour: bool
) -> list[str]:
    """The table, no line wider than ``width`` columns and no more than ``height`` lines.

    Where there is no room for all, columns go from the right, and of the hosts those go first that
    are done or have not begun.

    Args:
        hosts: in the order of the plan.
        width: columns of the screen.
        height: lines of the screen.
        now: on ``time.monotonic()``.
        colour: whether signs and headings are coloured.
    """
    names = [printable(host.name) for host in hosts]
    widest = max(4, *(display_width(name) for name in names))
    name_width = max(4, min(widest, width // 4))
    counts = list(COUNTS)
    while counts and _step_width(width, name_width, counts) < _NARROWEST_STEP:
        counts.pop()
    step_width = max(1, _step_width(width, name_width, counts))

    def row(sign: str, name: str, step: str, took: str, cells: Sequence[str]) -> str:
        words = [_left(name, name_width), _left(step, step_width), f"{took:>{_TIME}}"]
        numbers = [f"{cell:>{len(COUNTS[one])}}" for cell, one in zip(cells, counts, strict=True)]
        return f"{sign} {'  '.join(words + numbers)}"

    shown, hidden = _chosen(hosts, max(1, height - 3))
    lines = [
        "",
        _painted(
            row(" ", "host", "step", "time", [COUNTS[one] for one in counts]), "2", colour=colour
        ),
    ]
    for host in shown:
        sign, code = SIGNS[host.state]
        seconds = host.seconds(now)
        took = "" if seconds is None else elapsed(seconds, exact=not host.doing)
        cells = [str(host.counts[one] or "-") for one in counts]
        line = row(sign, printable(host.name), printable(host.step()), took, cells)
        lines.append(_painted(line[:1], code, colour=colour) + line[1:])
    if hidden:
        lines.append(shortened(f"  and {_census(hidden)}", width))
    return [line if width > name_width + _TIME else shortened(line, width) for line in lines]


def elapsed(seconds: float, *, exact: bool) -> str:
    """A duration; of something that goes on in whole seconds, which is calmer."""
    if exact:
        return format_duration(seconds)
    return format_duration(int(seconds)).replace(".0 s", " s") if seconds >= 1 else ""


def _step_width(width: int, name_width: int, counts: Sequence[str]) -> int:
    # A column is left free: some terminals go to the next line after the last.
    return width - 1 - 2 - name_width - 2 - 2 - _TIME - sum(2 + len(COUNTS[one]) for one in counts)


def _left(text: str, width: int) -> str:
    text = shortened(text, width)
    return text + " " * (width - display_width(text))


def _painted(text: str, code: str, *, colour: bool) -> str:
    return f"\033[{code}m{text}\033[0m" if colour else text


def _chosen(hosts: Sequence[Host], room: int) -> tuple[list[Host], list[Host]]:
    if len(hosts) <= room:
        return list(hosts), []
    order = (*_WORST_FIRST, "to come", "skipped")
    first = sorted(hosts, key=lambda host: order.index(host.state))[: max(1, room - 1)]
    names = {host.name for host in first}
    return [host for host in hosts if host.name in names], [
        host for host in hosts if host.name not in names
    ]


def _census(hosts: Sequence[Host]) -> str:
    found: dict[str, int] = {}
    for host in hosts:
        found[host.state] = found.get(host.state, 0) + 1
    states = ", ".join(f"{count} {state}" for state, count in found.items())
    return f"{len(hosts)} more: {states}"
