"""What a person reads who has asked a run to stop: what will be undone, and where.

Called inside a signal handler, where a stream may be in the middle of a write and a lock may be
held: reads what is there, takes no lock, and writes past every stream.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.engine.attempt import Shared

_CLEAR = b"\r\033[J"  # what is drawn from the cursor on: a line of progress, or the live table


@dataclass
class StopNotice:
    """Tells of the first request to stop.

    Args:
        rollback: whether the runbook wants undone what was changed.
        shared: what has been changed; None before the run has begun.
    """

    rollback: bool
    shared: Shared | None = None

    def __call__(self, by: str) -> None:
        """Write the line to standard error. ``by``: the signal, or who asked."""
        line = f"{by}: stopping after this step, {self.consequence()}; once more stops now\n"
        with suppress(OSError):  # nobody reads it; the run stops all the same
            clear = os.isatty(2) and os.environ.get("TERM", "dumb") != "dumb"
            os.write(2, (_CLEAR if clear else b"\n") + line.encode())

    def consequence(self) -> str:
        """What follows, as things stand now."""
        if self.shared is None:
            return "nothing has been changed yet"
        if self.shared.check:
            return "nothing is changed by a check"
        hosts = [change.host for change in tuple(self.shared.changes) if change.call]
        if not hosts:
            return "then undoing: so far there is nothing to undo"
        where = hosts[0] if len(set(hosts)) == 1 else f"{len(set(hosts))} hosts"
        count = f"{len(hosts)} change{'s' if len(hosts) > 1 else ''} on {where}"
        if not self.rollback:
            return f"{count} stay{'s' if len(hosts) == 1 else ''}, as the runbook wants"
        return f"then undoing {count} so far"
