"""Room on the disk that is kept for what must be written even when nothing else fits.

Events that were acknowledged while there was room must show in their sessions, also when somebody
else has filled the disk a moment later.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from tracker.store.faults import is_disk_full

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result = TypeVar("Result")

SIZE = 4_000_000
"""Bytes that are kept: enough for the sessions of tens of thousands of events."""

_STEP = 1_000_000
_PLENTY = 4 * SIZE
"""Bytes that have to be free before any are kept back."""


class Ballast:
    """A file that holds the room.

    Args:
        database: the file beside which it lies.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.ballast")

    def keep(self) -> None:
        """Take the room, if there is plenty of it."""
        if self._size() >= SIZE or shutil.disk_usage(self._path.parent).free < _PLENTY:
            return
        with suppress(OSError):  # it is a help; nothing fails for want of it
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, SIZE)
            except OSError:
                os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)

    def give_up(self) -> bool:
        """Give some of the room up; whether there was any."""
        size = self._size()
        if not size:
            return False
        os.truncate(self._path, max(0, size - _STEP))
        return True

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


def with_room(ballast: Ballast, work: Callable[[], Result]) -> Result:
    """Do what must be written, out of the room that was kept for it if there is no other.

    Args:
        ballast: the room.
        work: what to do; nothing of it stays when it fails.
    """
    while True:
        try:
            return work()
        except Exception as error:
            if not is_disk_full(error) or not ballast.give_up():
                raise
