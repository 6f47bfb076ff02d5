"""SIGTERM and SIGHUP as an orderly end, so that a session that is told to stop still says so."""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

HANDLED = (signal.SIGTERM, signal.SIGHUP)


class Terminated(SystemExit):
    """A signal asked the shell to end.

    A ``SystemExit``, because asyncio, which the prompt runs on, lets only that and
    ``KeyboardInterrupt`` out of its loop.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.reason = signal.Signals(number).name


class Terminations:
    """Raises ``Terminated`` where the main thread stands, but never in the middle of a record."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._held = 0

    def listen(self) -> None:
        """Take over the signals, but not one that whoever started the shell had it ignore."""
        for number in HANDLED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._receive)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is raised inside; what came meanwhile is raised by the next ``check``."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def check(self) -> None:
        """Raise again what came while held, or what some code has caught and dropped.

        Raises:
            Terminated: a signal was received.
        """
        if self.received is not None:
            raise Terminated(self.received)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.received = number
        if number == signal.SIGHUP:
            _leave_lost_terminal()
        if not self._held:
            raise Terminated(number)


def _leave_lost_terminal() -> None:
    """Send output nowhere from now on where its terminal is gone: writing there would fail.

    A pipe or a file still gets its output, and a terminal that is still there its right mode.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        if stream is not None and not stream.closed and _has_hung_up(stream.fileno()):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _has_hung_up(descriptor: int) -> bool:
    try:
        os.ttyname(descriptor)
    except OSError as error:
        # What never was a terminal answers ENOTTY.
        return error.errno == errno.EIO
    return False
