"""Who owns a database file: one process at a time, named in a record beside the file.

DuckDB lets one process in and tells a second one only a PID. This lock is taken before DuckDB
opens anything, says who owns the file since when, and the kernel drops it with its process.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from schemas.errors import Busy

if TYPE_CHECKING:
    from pathlib import Path

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that has a database open."""

    role: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.role} (pid {self.pid}) since {self.since}"


class OwnerLock:
    """The lock on one database file, held until ``release`` or the end of the process.

    Args:
        database: the database file; the lock is ``<database>.owner`` beside it.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(f"{database.name}.owner")
        self._descriptor: int | None = None

    def acquire(self, role: str, wait: float) -> None:
        """Take the lock and write down who has it now.

        Args:
            role: what this process is, such as ``session-buddy``.
            wait: seconds to wait for an owner that may be about to stop.

        Raises:
            Busy: another process still has it after that time; named with its PID.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(descriptor, time.monotonic() + wait)
        except BaseException:
            os.close(descriptor)
            raise
        record = Owner(role, os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(record)).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the file back. Doing it twice is allowed."""
        if self._descriptor is not None:
            # The file stays: removing it would let two processes lock two files of one name.
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise in_use(self._database, read_owner(self._database)) from None
                time.sleep(POLL_SECONDS)
            else:
                return


def read_owner(database: Path) -> Owner | None:
    """The last process that wrote itself down as the owner; None: nobody, or it does not say.

    It may have died since: only the lock itself tells whether the file is in use.
    """
    try:
        record: dict[str, Any] = json.loads(
            database.with_name(f"{database.name}.owner").read_bytes()
        )
        return Owner(str(record["role"]), int(record["pid"]), str(record["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def in_use(database: Path, owner: object) -> Busy:
    """The error of a database that another process has open."""
    return Busy(
        f"the database is in use by {owner or 'another process'}",
        where=str(database),
        hint="stop it first: session-buddy mcp stop",
    )
