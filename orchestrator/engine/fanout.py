"""Doing the same on several hosts at once, each in a thread, at most ``forks`` at a time.

Knows threads and how to end them together, not what is done on a host. One host alone is done in
the thread of the caller, which costs nothing and gets the signals itself.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.tasks.halt import LOOK, raise_if_halted, watching

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Result = TypeVar("Result")
FORKS = 10
"""Hosts at a time when nobody says another number."""
LEAVE = 8.0
"""Seconds that threads get to end their commands when everything is left at once."""


def on_each(
    names: Sequence[str],
    work: Callable[[str], Result],
    *,
    forks: int = FORKS,
    halt: threading.Event | None = None,
) -> dict[str, Result]:
    """What ``work`` gives for each name, in the order of the names.

    Args:
        names: the hosts.
        work: called with a name, in some thread.
        forks: how many at a time.
        halt: set here when the caller is interrupted; ``tasks.halt`` shows it to the threads.

    Raises:
        BaseException: what interrupted the caller, or the first that ``work`` raised, after all
            others have ended.
    """
    halt = halt or threading.Event()
    if len(names) <= 1:
        with watching(halt):
            return {name: work(name) for name in names}
    todo = deque(names)
    ended: queue.SimpleQueue[tuple[str, Result | None, BaseException | None]] = queue.SimpleQueue()

    def worker() -> None:
        with watching(halt), suppress(IndexError):
            while True:
                name = todo.popleft()
                try:
                    raise_if_halted()
                    ended.put((name, work(name), None))
                except BaseException as error:  # noqa: BLE001 -- raised again in the caller's thread
                    ended.put((name, None, error))

    # Daemons: a task that never looks up must not keep the process from ending.
    threads = [
        threading.Thread(target=worker, name=f"host-{number}", daemon=True)
        for number in range(max(1, min(forks, len(names))))
    ]
    for thread in threads:
        thread.start()
    try:
        found = [_next(ended) for _ in names]
    except BaseException:
        halt.set()
        until = time.monotonic() + LEAVE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        raise
    for _, _, error in found:
        if error is not None:
            raise error
    results = {name: result for name, result, _ in found}
    return {name: results[name] for name in names}


def _next(ended: queue.SimpleQueue[Any]) -> Any:
    # Looks up in between: a signal that comes just before this thread falls asleep, or to another
    # thread, does not wake it, and its handler runs only when this thread does.
    while True:
        with suppress(queue.Empty):
            return ended.get(timeout=LOOK)
