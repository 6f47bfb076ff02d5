"""A copy of the database file at one moment, and the proof that the copy can be read.

The copy is taken in the writer's thread: no write can come between the checkpoint and its last
byte. Proving takes longer and happens beside the writer.
"""

from __future__ import annotations

import errno
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from tracker.store.attach import log_of
from tracker.store.faults import NO_SPACE
from tracker.store.migrations import StoredSchema, stored_schema
from tracker.store.rows import from_micros
from tracker.store.transactions import checkpoint

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from duckdb import DuckDBPyConnection

_SESSIONS = {"sessions", "archived_sessions"}
_EVENTS = {"session_events", "archived_events"}


@dataclass(frozen=True, slots=True)
class Content:
    """How much is in a database; two with the same rows are equal."""

    sessions: int
    events: int
    newest_event: datetime | None
    schema: StoredSchema


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy that was taken, not yet proven."""

    file: Path
    taken_at: datetime
    content: Content


def content_of(connection: DuckDBPyConnection) -> Content:
    """Count what is in a database, in its archive too."""
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()
    sessions, _ = _counted(connection, "created_at", _SESSIONS & {name for (name,) in tables})
    events, newest = _counted(connection, "received_at", _EVENTS & {name for (name,) in tables})
    return Content(
        sessions,
        events,
        None if newest is None else from_micros(newest),
        stored_schema(connection),
    )


def take_snapshot(connection: DuckDBPyConnection, database: Path, copy: Path) -> Snapshot:
    """Copy the database file; nothing may write meanwhile.

    Args:
        connection: the writer's.
        database: the file that it has open.
        copy: the file to make.
    """
    checkpoint(connection)
    content, taken_at = content_of(connection), datetime.now(UTC)
    copy_file(database, copy)
    # A checkpoint leaves no log, unless a reader kept it from finishing; with its log the copy is
    # whole all the same.
    log = log_of(database)
    if log.exists():
        copy_file(log, log_of(copy))
    return Snapshot(copy, taken_at, content)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file that DuckDB has open, in a process of its own.

    POSIX drops a process's locks on a file as soon as the process closes it anywhere (fcntl(2)):
    had this one read the file, another program could open the live database from then on.

    Raises:
        OSError: there is no room, or the file cannot be read.
    """
    argv = ["cp", "--", str(source), str(target)]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        target.unlink(missing_ok=True)
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "cp failed"
        code = errno.ENOSPC if NO_SPACE in reason else errno.EIO
        raise OSError(code, reason.removeprefix("cp: "), str(target))


def prove(snapshot: Snapshot) -> None:
    """Open the copy, read every block of it, and compare what is in it.

    Raises:
        SessionopsError: it cannot be read, or holds something else than the original did.
    """
    import duckdb

    quoted = str(snapshot.file).replace("'", "''")
    with duckdb.connect(":memory:", config={"autoload_known_extensions": False}) as connection:
        try:
            connection.execute(f"ATTACH '{quoted}' AS store")
            connection.execute("USE store")
            connection.execute("CHECKPOINT").fetchall()  # takes in a log that was copied along
            found = content_of(connection)
            _read_everything(connection)
        except duckdb.Error as error:
            raise SessionopsError(
                f"the copy of the database cannot be read: {str(error).splitlines()[0]}",
                where=str(snapshot.file),
                hint="check the disk, then the database: session-buddy health",
            ) from error
    if found != snapshot.content:
        raise SessionopsError(
            f"the copy holds {found}, the database held {snapshot.content}",
            where=str(snapshot.file),
        )


def _read_everything(connection: DuckDBPyConnection) -> None:
    # Counting reads no data; a hash over whole rows makes DuckDB check each block's checksum.
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'store'"
    ).fetchall()
    for (table,) in tables:
        connection.execute(f'SELECT bit_xor(hash(t)) FROM "{table}" t').fetchall()  # noqa: S608


def _counted(
    connection: DuckDBPyConnection, time: str, tables: Collection[str]
) -> tuple[int, int | None]:
    """How many rows some tables have together, and the latest of their times."""
    times = " UNION ALL ".join(f"SELECT {time} FROM {name}" for name in sorted(tables))  # noqa: S608
    counts = connection.execute(
        f"SELECT count(*), epoch_us(max({time})) FROM ({times})"  # noqa: S608 -- our own names
    ).fetchall()
    return int(counts[0][0]), counts[0][1]
