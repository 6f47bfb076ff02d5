"""A table of the hosts of a run on a terminal, drawn anew in place while the run goes on.

Knows the terminal and when to draw; what a row says stands in ``host_table``, and how a line about
a step is worded its caller knows: those stay above the table.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.host_table import Host, table_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.run import JournalEntry

INTERVAL = 0.1
"""Seconds between two drawings at least."""
AGAIN = 1.0
"""Seconds after which it is drawn although nothing changed: somebody may have written over it."""
_ERASE = "\r\033[J"


class LiveTable:
    """Draws the table of a run's hosts until it is told how they came out.

    Between two drawings the cursor stands at the table's first column and line: whatever anybody
    else writes goes above it, and a screen that was made narrower leaves nothing behind.

    Args:
        names: the hosts.
        colour: whether there is colour.
    """

    def __init__(self, names: Sequence[str], *, colour: bool) -> None:
        self._hosts = {name: Host(name) for name in names}
        self._colour = colour
        self._above: list[str] = []
        self._drawn: list[str] = []
        self._drawn_at = 0.0
        self._asking = False
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._drawer = threading.Thread(target=self._draw_on, name="live table", daemon=True)
        atexit.register(self.close)
        self._drawer.start()

    def say(self, line: str) -> None:
        """A line that stays, above the table."""
        with self._lock:
            self._above.append(line)

    def hear(self, entry: JournalEntry) -> None:
        """Take in a journal entry."""
        with self._lock:
            if entry.host in self._hosts:
                self._hosts[entry.host].hear(entry, time.monotonic())

    def ask(self, host: str) -> None:
        """A question follows: the table stays as it is, and nothing is drawn below it."""
        with self._lock:
            if host in self._hosts:
                self._hosts[host].asks = True
            self._leave()
            self._asking = True

    def answered(self) -> None:
        """The question is over; the table goes on below it."""
        with self._lock:
            for host in self._hosts.values():
                host.asks = False
            self._asking = False

    def finish(self, outcomes: Mapping[str, str]) -> None:
        """Draw it for the last time, all of it, with how the hosts came out."""
        self._over.set()
        with self._lock:
            self._asking = False
            for host in self._hosts.values():
                host.asks, host.doing = False, {}
                host.outcome = outcomes.get(host.name, "")
            self._leave(height=len(self._hosts) + 3)
        self.close()

    def close(self) -> None:
        """Draw no more, and leave what is there."""
        self._over.set()
        with self._lock:
            if self._drawn and not self._asking:
                with suppress(OSError, ValueError):
                    self._write("\n" * len(self._drawn))
            self._drawn = []
        atexit.unregister(self.close)

    def _draw_on(self) -> None:
        # A terminal that is gone ends the drawing; the run goes on.
        with suppress(OSError, ValueError):
            while not self._over.wait(INTERVAL):
                with self._lock:
                    if not self._asking and not self._over.is_set():
                        self._draw()

    def _draw(self) -> None:
        lines = self._lines(_screen())
        now = time.monotonic()
        if self._above or lines != self._drawn or now - self._drawn_at >= AGAIN:
            back = f"\033[{len(lines) - 1}A\r"
            self._write(_ERASE + self._taken() + "\n".join(lines) + back)
            self._drawn, self._drawn_at = lines, now

    def _leave(self, height: int | None = None) -> None:
        """Draw it and go below it: from now on it is a text like any other."""
        width, screen = _screen()
        lines = self._lines((width, height or screen))
        self._write(_ERASE + self._taken() + "\n".join(lines) + "\n")
        self._drawn = []

    def _lines(self, screen: tuple[int, int]) -> list[str]:
        hosts = list(self._hosts.values())
        return table_lines(hosts, *screen, time.monotonic(), colour=self._colour)

    def _taken(self) -> str:
        above, self._above = self._above, []
        return "".join(f"{line}\n" for line in above)

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def fits(hosts: Sequence[str]) -> bool:
    """Whether standard output is a terminal that can show the table, and the run is for one."""
    return len(hosts) > 1 and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _screen() -> tuple[int, int]:
    # Asked each time, which costs one call and sees every change of size.
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return 80, 24
    return (size.columns or 80), (size.lines or 24)
