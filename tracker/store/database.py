"""The database file: opened by one process, with one connection that writes and some that read.

Knows how to open, read and close; what is in the tables is the business of its neighbours.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput, SessionopsError
from tracker.store.migrations import MIGRATIONS, migrate
from tracker.store.owner import POLL_SECONDS, OwnerLock, in_use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from tracker.store.migrations import Migration, StoredSchema

STORAGE_VERSION = "v1.2.0"
"""Of the file: the oldest that has what the tables need, so that many DuckDBs can open it."""

OPEN_WAIT = 10.0
"""Seconds that a starting server waits for the owner before it to stop."""

_LOCK_PID = re.compile(r"PID (\d+)")


class Database:
    """An open database file. Make one with ``open``.

    Args:
        path: the file.
        root: the connection that holds the file open; it runs nothing.
        lock: the lock on the file.
        schema: the schema of the file.
    """

    def __init__(
        self, path: Path, root: DuckDBPyConnection, lock: OwnerLock, schema: StoredSchema
    ) -> None:
        self.path = path
        self.schema = schema
        self.writing = _cursor(root)
        self._root = root
        self._lock = lock
        self._identity = _identity(path)
        self._making = threading.Lock()
        self._idle: list[DuckDBPyConnection] = []

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
            InvalidInput: the place cannot be written, or the file is from a newer release.
            SessionopsError: it is not a database, or damaged.
        """
        deadline = time.monotonic() + wait
        lock = OwnerLock(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire(role, wait)
        except OSError as error:
            raise InvalidInput(
                f"the database cannot be kept here: {error.strerror}",
                where=str(path),
                hint="make the folder writable, or set session_buddy.db_path",
            ) from error
        try:
            root = _attached(path, deadline)
        except BaseException:
            lock.release()
            raise
        try:
            connection = _cursor(root)
            schema = migrate(
                connection,
                path=path,
                release=release,
                migrations=migrations,
                before=before_migration and (lambda stored: before_migration(connection, stored)),
            )
            connection.close()
            path.chmod(0o600)
            return cls(path, root, lock, schema)
        except BaseException:
            root.close()
            lock.release()
            raise

    @contextmanager
    def reading(self) -> Iterator[DuckDBPyConnection]:
        """A connection to read with, for one thread at a time."""
        try:
            connection = self._idle.pop()
        except IndexError:
            with self._making:
                connection = _cursor(self._root)
        try:
            yield connection
        except BaseException:
            # It may have a half-read result, with which DuckDB would refuse the next query.
            connection.close()
            raise
        self._idle.append(connection)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All the rows of a read."""
        with self.reading() as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def in_place(self) -> bool:
        """Whether the file with this name is still the one that is open."""
        try:
            return _identity(self.path) == self._identity
        except OSError:
            return False

    def size(self) -> int:
        """Bytes on disk, with those that wait in the log to be taken into the file."""
        files = (self.path, self.path.with_name(f"{self.path.name}.wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Write everything into the file and let others have it. Doing it twice is allowed."""
        for connection in (*self._idle, self.writing, self._root):
            connection.close()
        self._idle.clear()
        self._lock.release()


def _attached(path: Path, deadline: float) -> DuckDBPyConnection:
    """A connection that has the file open as ``store``."""
    import duckdb

    # Attached to a database in memory, since only ATTACH takes a storage version.
    root = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": f"{path}.tmp",
        },
    )
    quoted = str(path).replace("'", "''")
    try:
        while True:
            try:
                root.execute(f"ATTACH '{quoted}' AS store (STORAGE_VERSION '{STORAGE_VERSION}')")
            except duckdb.IOException as error:
                _raise_unless_locked(path, error)
                if time.monotonic() >= deadline:
                    pid = _LOCK_PID.search(str(error))
                    raise in_use(path, pid and f"the process with pid {pid[1]}") from None
                time.sleep(POLL_SECONDS)
            except duckdb.Error as error:
                raise _damaged(path, error) from error
            else:
                # From here on no SQL reaches other files or the network.
                root.execute("SET enable_external_access = false")
                return root
    except BaseException:
        root.close()
        raise


def _raise_unless_locked(path: Path, error: Exception) -> None:
    if "Could not set lock" not in str(error):
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> SessionopsError:
    if "Permission denied" in str(error):
        return InvalidInput("the database belongs to another user", where=str(path))
    return SessionopsError(
        f"the database cannot be opened: {str(error).splitlines()[0]}",
        where=str(path),
        hint="keep a copy of the file, then restore a backup: invoke restore --backup latest",
    )


def _cursor(root: DuckDBPyConnection) -> DuckDBPyConnection:
    connection = root.cursor()
    connection.execute("USE store")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
