"""The sign of life of a run that holds a lock: its file on the host is touched from time to time.

Other machines cannot look whether the run's process is alive; the file's age tells them, by the
host's own clock. Knows neither runs nor what the lock is for.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.tasks.halt import StoppedNow, watching
from schemas.errors import SessionopsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke.context import Context

    from orchestrator.engine.lock import Lock

EVERY = 30.0
"""Seconds between two signs; four of them may get lost before the lock counts as left behind."""
_LEAVING = 5.0


class Heartbeat:
    """Touches one held lock until it ends.

    Args:
        reach: makes a Context of its own to the lock's host, so that no step has to wait for it.
        lock: the same lock over such a Context.
        lost: told once, from another thread, when somebody else has the lock.
        every: seconds between two signs.
    """

    def __init__(
        self,
        reach: Callable[[], Context],
        lock: Callable[[Context], Lock],
        lost: Callable[[], None],
        every: float,
    ) -> None:
        self._reach = reach
        self._lock = lock
        self._lost = lost
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lock heartbeat", daemon=True)

    def start(self) -> None:
        """Begin; the first sign is due after the first interval."""
        self._thread.start()

    def end(self) -> None:
        """Give no more signs."""
        self._ended.set()

    def wait(self) -> None:
        """Wait until its connection is closed, but not for long."""
        self._thread.join(_LEAVING)

    def _beat(self) -> None:
        context: Context | None = None
        with watching(self._ended):
            while not self._ended.wait(self._every):
                # A sign that gets lost is made up for by the next one, over a new connection.
                try:
                    context = context or self._reach()
                    if not self._lock(context).touch():
                        self._lost()
                        break
                except StoppedNow:
                    break
                except (SessionopsError, OSError):
                    _close(context)
                    context = None
        _close(context)


def _close(context: Context | None) -> None:
    close = getattr(context, "close", None)
    if close is not None:
        with suppress(SessionopsError, OSError):
            close()
