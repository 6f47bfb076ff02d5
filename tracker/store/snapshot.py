"""A copy of the database file at one moment, and the proof that the copy can be read.

The copy is taken in the writer's thread: no write can come between the checkpoint and its last
byte. Proving takes longer and happens beside the writer.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from tracker.store.migrations import StoredSchema, stored_schema
from tracker.store.rows import from_micros

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection


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
    """Count what is in a database."""
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM session_events),"
        " (SELECT epoch_us(max(received_at)) FROM session_events)"
    ).fetchall()
    sessions, events, newest = counts[0]
    return Content(
        sessions, events, None if newest is None else from_micros(newest), stored_schema(connection)
    )


def take_snapshot(connection: DuckDBPyConnection, database: Path, copy: Path) -> Snapshot:
    """Copy the database file; nothing may write meanwhile.

    Args:
        connection: the writer's.
        database: the file that it has open.
        copy: the file to make.
    """
    connection.execute("CHECKPOINT").fetchall()
    content, taken_at = content_of(connection), datetime.now(UTC)
    shutil.copyfile(database, copy)
    # A checkpoint leaves no log, unless a reader kept it from finishing; with its log the copy is
    # whole all the same.
    log = _log_of(database)
    if log.exists():
        shutil.copyfile(log, _log_of(copy))
    return Snapshot(copy, taken_at, content)


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


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.wal")
