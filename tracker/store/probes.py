"""Whether the store works, found out by using it; each probe is a line of ``session-buddy health``.

Probes say what is wrong and what to do; whether that makes the server unhealthy is decided above.
"""

from __future__ import annotations

import shutil
from concurrent.futures import TimeoutError as NotInTime
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from schemas.health import Probe
from schemas.units import format_size
from tracker.store.faults import reason_of
from tracker.store.ingest import store_property

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from tracker.store.database import Database
    from tracker.store.writer import Writer

DATABASE = "Database"
TRACKING = "Session tracking"
DISK = "Disk"
LAST_ATTEMPT = "last_attempt"
"""The property that is written to see whether writing works again."""

ANSWER_WITHIN = 2.0
"""Seconds; a writer that takes longer between two groups is stuck."""

LEAST_FREE = 500_000_000
"""Bytes that the guide (1.1) wants free for the database."""


def database_probe(database: Database) -> Probe:
    """Whether the database answers a query from the file that has its name."""
    import duckdb

    if not database.in_place():
        return Probe(
            DATABASE,
            ok=False,
            value="replaced",
            hint=f"{database.path} was moved or removed while it is open;"
            " put it back, or restore a backup and restart",
        )
    try:
        database.query("SELECT max(start_time) IS NULL FROM sessions")
    except (duckdb.Error, SessionopsError) as error:
        reason = str(error).splitlines()[0]
        return Probe(DATABASE, ok=False, value="not answering", hint=reason)
    return Probe(DATABASE, ok=True, value="connected")


def tracking_probe(writer: Writer, *, wanted: bool, copying: bool) -> Probe:
    """Whether events are stored.

    Args:
        writer: is asked to take a job.
        wanted: whether the settings want sessions to be recorded.
        copying: a backup has the writer paused, so that it may take longer.
    """
    if not wanted:
        hint = "mahavishnu.session.enabled is false"
        return Probe(TRACKING, ok=None, value="disabled", hint=hint)
    if copying:
        hint = "events wait while the database is copied"
        return Probe(TRACKING, ok=True, value="enabled", hint=hint)
    failure = _failure(writer)
    if failure:
        full = writer.statistics.disk_full
        remedy = "make room" if full else "restart it: session-buddy mcp restart"
        hint = f"{failure}; {remedy}"
        return Probe(TRACKING, ok=False, value="failing", hint=hint)
    return Probe(TRACKING, ok=True, value="enabled")


def _failure(writer: Writer) -> str:
    """Why the writer would not store an event now; empty: it would."""

    def attempt(connection: DuckDBPyConnection) -> None:
        if writer.statistics.disk_full:
            # There may be room again, and nobody who sends anything.
            store_property(connection, LAST_ATTEMPT, datetime.now(UTC).isoformat())
            writer.statistics.working()
        else:
            connection.execute("SELECT 1").fetchall()

    try:
        writer.call(attempt).result(ANSWER_WITHIN)
    except NotInTime:
        return f"no answer from the writer within {ANSWER_WITHIN:g} seconds"
    except Exception as error:  # noqa: BLE001 -- whatever stops the writer is what is asked for
        return reason_of(error)
    return writer.statistics.last_error


def disk_probe(folder: Path) -> Probe:
    """Whether there is room for the database to grow."""
    free = shutil.disk_usage(folder).free
    value = f"{format_size(free)} free"
    if free < LEAST_FREE:
        return Probe(
            DISK, ok=False, value=value, hint=f"{folder} needs {format_size(LEAST_FREE)}; make room"
        )
    return Probe(DISK, ok=True, value=value)
