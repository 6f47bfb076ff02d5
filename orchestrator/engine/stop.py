"""Asking a run to stop: by signal, once for after the step, twice for now.

Knows signals and waiting, not what is being stopped.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.tasks.halt import StoppedNow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Whether somebody asked this run to stop, and how.

    Args:
        told: called with the signal's name at the first request.

    ``halt`` is set by the second request; every thread of the run looks at it.
    """

    def __init__(self, told: Callable[[str], None] | None = None) -> None:
        self.by = ""
        self.halt = threading.Event()
        self._told = told
        self._asked = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether the run is to end after the current step."""
        return self._asked.is_set()

    def ask(self, by: str) -> None:
        """Ask; the second time stops at once.

        Raises:
            StoppedNow: it had been asked before.
        """
        if self.asked:
            self.halt.set()
            raise StoppedNow(by)
        self.by = by
        self._asked.set()
        if self._told is not None:
            self._told(by)

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until somebody asks."""
        self._asked.wait(seconds)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Let signals ask. Only the main thread can receive them; elsewhere nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # What whoever started us chose to ignore (nohup, a shell's background job) stays ignored.
        before = {
            number: signal.signal(number, self._received)
            for number in SIGNALS
            if signal.getsignal(number) not in (signal.SIG_IGN, None)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _received(self, number: int, _frame: Any) -> None:
        self.ask(signal.Signals(number).name)
