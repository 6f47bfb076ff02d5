"""The thread that brings one emitter's events to the tracker while the program goes on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from tracker.client.circuit import Circuit
from tracker.client.delivery import deliver
from tracker.client.spool import adopt_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.settings import Settings
    from tracker.client.http import ServerClient
    from tracker.client.spool import Spool

_TIMEOUT = 5.0
"""Seconds that one request may take."""


class Courier:
    """Delivers a spool in batches, in a daemon thread.

    Args:
        spool: the file of this process.
        settings: the settings in force.
        beat: called every ``session.checkpoint_interval`` seconds.
    """

    def __init__(self, spool: Spool, settings: Settings, beat: Callable[[], None]) -> None:
        self._spool = spool
        self._settings = settings
        self._beat = beat
        batched = settings.flag("mahavishnu.event_buffer.enabled")
        self._most = settings.count("mahavishnu.event_buffer.max_size")
        self._patience = (
            settings.number("mahavishnu.event_buffer.flush_interval") if batched else 0.0
        )
        self._interval = settings.count("mahavishnu.session.checkpoint_interval")
        self._circuit = Circuit()
        self._wake = threading.Condition()
        self._waiting = 0
        self._due = float("inf")
        self._attempts = 0
        self._attempting = False
        self._closing = False
        self._adopted = False
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="session-events", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def notify(self, *, urgent: bool = False) -> None:
        """An event was written. It leaves with its batch, or at once if it is urgent."""
        with self._wake:
            self._waiting += 1
            now = time.monotonic()
            at_once = urgent or self._waiting >= self._most
            self._due = min(self._due, now if at_once else now + self._patience)
            self._wake.notify()

    def flush(self, seconds: float) -> bool:
        """Try now, whatever the circuit says; return whether everything has arrived in time."""
        deadline = time.monotonic() + seconds
        with self._wake:
            self._circuit.succeeded()
            self._due = 0.0
            # An attempt that is under way may have read the file before the last event came.
            aim = self._attempts + (2 if self._attempting else 1)
            self._wake.notify_all()
            while self._attempts < aim and self._thread.is_alive():
                if not self._wake.wait(deadline - time.monotonic()):
                    break
        return self._spool.unsent == 0

    def finish(self, seconds: float) -> bool:
        """One last attempt; then the thread closes the spool and ends. Return whether in time."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        from tracker.client.servers import session_buddy

        next_beat = time.monotonic() + self._interval
        with session_buddy(self._settings, "ingest", timeout=_TIMEOUT) as client:
            while True:
                self._sleep_until(next_beat)
                if self._closing:
                    break
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + self._interval
                    self._adopted = False
                    self._beat()
                if time.monotonic() >= self._next_attempt():
                    self._attempt(client)
            self._attempt(client)
        self._spool.close()

    def _next_attempt(self) -> float:
        if self._due == float("inf"):
            return self._due
        return max(self._due, self._circuit.next_attempt)

    def _sleep_until(self, moment: float) -> None:
        """Sleep until then, or until an attempt is due, or the end has come."""
        with self._wake:
            while not self._closing:
                left = min(moment, self._next_attempt()) - time.monotonic()
                if left <= 0:
                    return
                self._wake.wait(min(left, threading.TIMEOUT_MAX))

    def _attempt(self, client: ServerClient) -> None:
        with self._wake:
            self._attempting = True
            self._waiting = 0
            self._due = float("inf")
        # Half-open: one batch, to see whether the tracker is back.
        trial = self._circuit.state(time.monotonic()) == "half-open"
        try:
            deliver(self._spool, client, self._most, go_on=lambda: not trial)
            self._circuit.succeeded()
            self.problem = ""
            self._adopt(client)
        except (SessionopsError, OSError) as error:
            self._circuit.failed(time.monotonic())
            self.problem = str(error)
        with self._wake:
            if self._spool.unsent and not self._closing:
                self._due = min(self._due, time.monotonic() + (0 if trial else self._patience))
            self._attempting = False
            self._attempts += 1
            self._wake.notify_all()

    def _adopt(self, client: ServerClient) -> None:
        """Deliver what dead processes left behind: once, and again at each beat."""
        if self._adopted or self._closing:
            return
        self._adopted = True
        for spool in adopt_all(self._spool.path.parent):
            deliver(spool, client, self._most, go_on=lambda: not self._closing)
            if self._closing:
                return
