"""Leaving at once what is going on, in every thread.

A signal arrives in the main thread only, so the others look here while they wait for a command.
Knows threads and an event, not who asked.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK = 0.2
"""Seconds at most between two looks at whether to leave."""
_here = threading.local()


class StoppedNow(BaseException):
    """The second request: leave what is going on at once.

    Not an ``Exception``, so that no task takes it for a failure of its own.
    """


@contextmanager
def watching(event: threading.Event) -> Iterator[None]:
    """Let ``raise_if_halted`` of this thread look at an event."""
    before = getattr(_here, "event", None)
    _here.event = event
    try:
        yield
    finally:
        _here.event = before


def raise_if_halted() -> None:
    """Leave when this thread's event is set.

    Raises:
        StoppedNow: it is.
    """
    event = getattr(_here, "event", None)
    if event is not None and event.is_set():
        raise StoppedNow("request")


def sleep(seconds: float) -> None:
    """Sleep, but leave when this thread's event is set.

    Raises:
        StoppedNow: it was.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        raise_if_halted()
        time.sleep(min(LOOK, left))
