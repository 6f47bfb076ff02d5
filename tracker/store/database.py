"""The database file: opened by one process, with one connection that writes and some that read.

Knows how to open, read and close; what is in the tables is the business of its neighbours.
"""

from __future__ import annotations

import errno
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from schemas.errors import Busy, DiskFull, InvalidInput
from schemas.units import format_size
from tracker.store.attach import attached, cursor, damaged, discard_compacted, log_of
from tracker.store.ballast import Ballast
from tracker.store.faults import NO_SPACE
from tracker.store.migrations import MIGRATIONS, migrate
from tracker.store.owner import OwnerLock
from tracker.store.transactions import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from tracker.store.migrations import Migration, StoredSchema

OPEN_WAIT = 10.0
"""Seconds that a starting server waits for the owner before it to stop."""

LOG_BYTES = 16_000_000
"""Of the write-ahead log; a longer one is taken into the file."""

_ROOM = 32_000_000
"""Bytes that a checkpoint may need beside twice the length of the log."""

_PATIENCE = 10.0
"""Seconds that readers get to finish before the file is closed under them."""

_log = structlog.get_logger("store")


class Database:
    """An open database file. Make one with ``open``.

    Args:
        path: the file.
        root: the connection that holds the file open; it runs nothing.
        lock: the lock on the file.
        schema: the schema of the file.
        crashed: the process that had the file open before did not close it.
    """

    def __init__(
        self,
        path: Path,
        root: DuckDBPyConnection,
        lock: OwnerLock,
        schema: StoredSchema,
        *,
        crashed: bool = False,
    ) -> None:
        self.path = path
        self.schema = schema
        self.crashed = crashed
        """Whether its last owner did not close it, so that sessions may lag behind their events."""
        self.before_reading: Callable[[], object] = lambda: None
        self.ballast = Ballast(path)
        self.writing = cursor(root)
        self._root = root
        self._lock = lock
        self._identity = _identity(path)
        self._gate = threading.Condition()
        self._reopening = False
        self._idle: list[DuckDBPyConnection] = []
        self._lent: set[DuckDBPyConnection] = set()
        self._put_off = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        role: str,
        release: str,
        wait: float = OPEN_WAIT,
        migrations: Sequence[Migration] = MIGRATIONS,
        before_migration: Callable[[DuckDBPyConnection, StoredSchema], object] | None = None,
    ) -> Database:
        """Open a file, or make it, and bring its schema up to date.

        Args:
            path: the file.
            role: what this process is, for others who want the file.
            release: the version of this code.
            wait: seconds to wait for another owner.
            migrations: the schema's steps.
            before_migration: makes the backup before a file with data is changed.

        Raises:
            Busy: another process has it open.
            DiskFull: there is no room to open it.
            InvalidInput: the place cannot be written, or the file is from a newer release.
            SessionopsError: it is not a database, or damaged.
        """
        deadline = time.monotonic() + wait
        lock = OwnerLock(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire(role, wait)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(
                    f"the database cannot be opened: {NO_SPACE}",
                    where=str(path),
                    hint="make room where the database is, then start again",
                ) from error
            raise InvalidInput(
                f"the database cannot be kept here: {error.strerror}",
                where=str(path),
                hint="make the folder writable, or set session_buddy.db_path",
            ) from error
        discard_compacted(path)
        log = log_of(path)
        crashed = (log.exists() and log.stat().st_size > 0) or _behind(path).exists()
        try:
            root = attached(path, deadline)
        except BaseException:
            lock.release()
            raise
        try:
            connection = cursor(root)
            schema = migrate(
                connection,
                path=path,
                release=release,
                migrations=migrations,
                before=before_migration and (lambda stored: before_migration(connection, stored)),
            )
            connection.close()
            path.chmod(0o600)
            return cls(path, root, lock, schema, crashed=crashed)
        except BaseException:
            root.close()
            lock.release()
            raise

    @contextmanager
    def reading(self, *, settled: bool = True) -> Iterator[DuckDBPyConnection]:
        """A connection to read with, for one thread at a time.

        Args:
            settled: sessions show all the events that were acknowledged.

        Raises:
            SessionopsError: the file is damaged where it is read.
        """
        import duckdb

        if settled:
            self.before_reading()
        with self._gate:
            self._gate.wait_for(lambda: not self._reopening)
            connection = self._idle.pop() if self._idle else cursor(self._root)
            self._lent.add(connection)
        whole = False
        try:
            yield connection
            whole = True
        except duckdb.IOException as error:
            raise damaged(self.path, error, "read") from error
        finally:
            with self._gate:
                self._lent.remove(connection)
                if whole:
                    self._idle.append(connection)
                else:
                    # A half-read result in it would make DuckDB refuse the next query.
                    connection.close()
                self._gate.notify_all()

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, settled: bool = True
    ) -> list[tuple[Any, ...]]:
        """All the rows of a read; see ``reading``."""
        with self.reading(settled=settled) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def in_place(self) -> bool:
        """Whether the file with this name is still the one that is open."""
        try:
            return _identity(self.path) == self._identity
        except OSError:
            return False

    @property
    def log(self) -> Path:
        """The write-ahead log beside the file."""
        return log_of(self.path)

    def size(self) -> int:
        """Bytes on disk, with those that wait in the log to be taken into the file."""
        return sum(file.stat().st_size for file in (self.path, self.log) if file.exists())

    def checkpoint_when_due(self) -> None:
        """Take the log into the file when it is long, and keep room. Only for the writer's thread.

        DuckDB would do so by itself, within a commit; and if there is no room for it, refuse to
        read or write anything until the file is opened anew. So it is done only with room.
        """
        self.ballast.keep()
        length = self.log.stat().st_size if self.log.exists() else 0
        if length < LOG_BYTES:
            return
        needed, free = 2 * length + _ROOM, shutil.disk_usage(self.path.parent).free
        if free < needed:
            if not self._put_off:
                _log.warning("checkpoint put off", free=format_size(free), log=format_size(length))
            self._put_off = True
            return
        self._put_off = False
        checkpoint(self.writing)

    def reopen(self, meanwhile: Callable[[], object] | None = None) -> None:
        """Close the file and open it anew; who wants to read waits. Only for the writer's thread.

        Args:
            meanwhile: called while the file is closed.

        Raises:
            Busy: somebody reads and does not stop.
            InvalidInput, SessionopsError: as ``open``; the next call may succeed.
        """
        self._stop_reading()
        try:
            self._close_connections()
            try:
                if meanwhile is not None:
                    meanwhile()
            finally:
                self._root = attached(self.path, time.monotonic() + OPEN_WAIT)
                self.writing = cursor(self._root)
                self._identity = _identity(self.path)
        finally:
            with self._gate:
                self._reopening = False
                self._gate.notify_all()

    def leave_behind(self, *, behind: bool) -> None:
        """Note beside the file whether sessions lag behind their events, for who opens it next.

        Closing takes the log into the file, and only a log tells that the last owner crashed.
        """
        if behind:
            _behind(self.path).touch(mode=0o600)
        else:
            _behind(self.path).unlink(missing_ok=True)

    def close(self) -> None:
        """Write everything into the file and let others have it. Doing it twice is allowed."""
        self._close_connections()
        self._lock.release()

    def _stop_reading(self) -> None:
        with self._gate:
            self._reopening = True
            if self._gate.wait_for(lambda: not self._lent, _PATIENCE):
                return
            for connection in self._lent:
                connection.interrupt()
            if self._gate.wait_for(lambda: not self._lent, _PATIENCE):
                return
            self._reopening = False
            self._gate.notify_all()
        raise Busy("the database is being read, and the reader does not stop", hint="try again")

    def _close_connections(self) -> None:
        for connection in (*self._idle, self.writing, self._root):
            connection.close()
        self._idle.clear()


def _behind(path: Path) -> Path:
    return path.with_name(f"{path.name}.behind")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
