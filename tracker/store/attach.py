"""How DuckDB gets hold of the database file, and what SQL may reach from then on.

Only the file itself, and the one that a compaction makes: no other file, and no network.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from schemas.errors import DiskFull, InvalidInput, SessionopsError
from tracker.store.faults import NO_SPACE, is_disk_full
from tracker.store.owner import POLL_SECONDS, in_use

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

STORAGE_VERSION = "v1.2.0"
"""Of the file: the oldest that has what the tables need, so that many DuckDBs can open it."""

_NEVER = "1TB"
"""The length of the log at which DuckDB would make a checkpoint by itself."""

_LOCK_PID = re.compile(r"PID (\d+)")


def attached(path: Path, deadline: float) -> DuckDBPyConnection:
    """A connection that has the file open as ``store``.

    Args:
        path: the file; it is made if there is none.
        deadline: until when to wait for another process that has it, by the monotonic clock.

    Raises:
        Busy: another process still has it.
        InvalidInput: it belongs to another user.
        SessionopsError: it is not a database, or damaged.
    """
    import duckdb

    # Attached to a database in memory, since only ATTACH takes a storage version.
    root = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
            "checkpoint_threshold": _NEVER,
            "temp_directory": f"{path}.tmp",
        },
    )
    quoted = quoted_path(path)
    try:
        while True:
            try:
                root.execute(f"ATTACH {quoted} AS store (STORAGE_VERSION '{STORAGE_VERSION}')")
            except duckdb.IOException as error:
                _raise_unless_locked(path, error)
                if time.monotonic() >= deadline:
                    pid = _LOCK_PID.search(str(error))
                    raise in_use(path, pid and f"the process with pid {pid[1]}") from None
                time.sleep(POLL_SECONDS)
            except duckdb.Error as error:
                raise damaged(path, error) from error
            else:
                # From here on no SQL reaches the network, nor any file but these.
                allowed = ", ".join(map(quoted_path, with_logs(compacted_of(path))))
                root.execute(f"SET allowed_paths = [{allowed}]")
                root.execute("SET enable_external_access = false")
                return root
    except BaseException:
        root.close()
        raise


def _raise_unless_locked(path: Path, error: Exception) -> None:
    if "Could not set lock" not in str(error):
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception, done: str = "opened") -> SessionopsError:
    """What DuckDB's complaint about its file means, and what to do.

    Args:
        path: the file.
        error: what DuckDB said.
        done: what could not be done with it.
    """
    if is_disk_full(error):
        return DiskFull(
            f"the database cannot be {done}: {NO_SPACE}", where=str(path), hint="make room"
        )
    if "Permission denied" in str(error):
        return InvalidInput("the database belongs to another user", where=str(path))
    return SessionopsError(
        f"the database cannot be {done}: {str(error).splitlines()[0]}",
        where=str(path),
        hint="keep a copy of the file, then restore a backup: invoke restore --backup latest",
    )


def cursor(root: DuckDBPyConnection) -> DuckDBPyConnection:
    """A connection of its own to ``store``; times are UTC."""
    connection = root.cursor()
    connection.execute("USE store")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def quoted_path(path: Path) -> str:
    """A path as a text in SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def log_of(path: Path) -> Path:
    """The write-ahead log beside a database file."""
    return path.with_name(f"{path.name}.wal")


def with_logs(path: Path) -> tuple[Path, ...]:
    """A database file and the files that DuckDB may put beside it."""
    beside = (".wal", ".wal.checkpoint", ".wal.recovery")
    return path, *(path.with_name(f"{path.name}{suffix}") for suffix in beside)


def compacted_of(path: Path) -> Path:
    """The file that a compaction makes beside a database file."""
    return path.with_name(f"{path.name}.compacted")


def discard_compacted(path: Path) -> None:
    """Remove what a compaction of this file has left that did not come to its end."""
    for file in with_logs(compacted_of(path)):
        file.unlink(missing_ok=True)
