"""The database written anew, without the room that deleted and archived rows have left in it.

DuckDB keeps such room for later and never gives it back to the disk. Runs in the writer's thread:
events wait meanwhile, readers only for the moment in which the new file takes the old one's place.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import DiskFull, SessionopsError
from schemas.units import format_size
from tracker.store.attach import (
    STORAGE_VERSION,
    compacted_of,
    discard_compacted,
    log_of,
    quoted_path,
)
from tracker.store.transactions import checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from tracker.store.database import Database

_SAME_ROWS = 'SELECT count(*), bit_xor(hash(t)) FROM {catalog}."{table}" t'


@dataclass(frozen=True, slots=True)
class Compacted:
    """Bytes on disk before and after."""

    before: int
    after: int


def compact(database: Database) -> Compacted:
    """Write the database anew and put the new file in the old one's place.

    Whatever happens on the way, the file under the database's name is whole: the old one until the
    new one was compared with it row by row, then the new one.

    Raises:
        DiskFull: there is no room for both files at a time.
        SessionopsError: the new file differs; the old one stays.
    """
    before = database.size()
    _check_room(database.path.parent, before)
    made = compacted_of(database.path)
    discard_compacted(database.path)
    try:
        _write(database.writing, made)
        _sync(made)
        database.reopen(lambda: _replace(database.path, made))
    finally:
        discard_compacted(database.path)
    return Compacted(before, database.size())


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            f"compacting needs {format_size(needed)} for a while, {format_size(free)} are free",
            where=str(folder),
            hint="make room",
        )


def _write(connection: DuckDBPyConnection, made: Path) -> None:
    quoted = quoted_path(made)
    checkpoint(connection)
    connection.execute(f"ATTACH {quoted} AS made (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        made.chmod(0o600)
        connection.execute("COPY FROM DATABASE store TO made").fetchall()
        checkpoint(connection, "CHECKPOINT made")
        _compare(connection)
    finally:
        connection.execute("DETACH made")


def _compare(connection: DuckDBPyConnection) -> None:
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'store'"
    ).fetchall()
    for (table,) in tables:
        old, new = (
            connection.execute(_SAME_ROWS.format(catalog=catalog, table=table)).fetchall()
            for catalog in ("store", "made")
        )
        if old != new:
            raise SessionopsError(
                f"the compacted file has other rows in {table}; it was thrown away",
                hint="look what is wrong: session-buddy db check",
            )


def _replace(path: Path, made: Path) -> None:
    log = log_of(path)
    if log.exists() and log.stat().st_size:
        # The old file's log beside the new file would be taken for the new file's.
        raise SessionopsError("the database was not closed whole; nothing was replaced")
    made.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
