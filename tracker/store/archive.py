"""Old sessions into the archive with all their events, and back when something of them arrives.

Runs in the writer's thread. The totals of the metrics know nothing of it: they count what happened,
not where it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.store.columns import text_column
from tracker.store.rows import to_micros
from tracker.store.transactions import looked_up, transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from duckdb import DuckDBPyConnection

BATCH = 1_000
"""Sessions that are moved in one transaction, in about 0.1 s: events wait no longer than that."""

# A session that was given up has no end; what was last heard of it stands for one.
_OLD = "status <> 'active' AND coalesce(end_time, last_seen) < make_timestamptz(?)"

_CHOSEN = "WHERE session_id IN (SELECT session_id FROM incoming)"
_TO_ARCHIVE = (
    "INSERT INTO archived_sessions BY NAME SELECT *, now() AS archived_at FROM sessions",
    "DELETE FROM sessions",
    "INSERT INTO archived_events BY NAME SELECT * FROM session_events",
    "DELETE FROM session_events",
)
_FROM_ARCHIVE = (
    "INSERT INTO sessions BY NAME SELECT * EXCLUDE archived_at FROM archived_sessions",
    "DELETE FROM archived_sessions",
    "INSERT INTO session_events BY NAME SELECT * FROM archived_events",
    "DELETE FROM archived_events",
)


@dataclass(frozen=True, slots=True)
class Moved:
    """How much was moved, or would be; which sessions, if they were."""

    sessions: int
    events: int
    session_ids: Sequence[str] = ()


def archivable(connection: DuckDBPyConnection, before: datetime) -> Moved:
    """How much is old enough to be archived."""
    rows = connection.execute(
        f"WITH old AS (SELECT session_id FROM sessions WHERE {_OLD})"  # noqa: S608 -- our own names
        " SELECT (SELECT count(*) FROM old),"
        " (SELECT count(*) FROM session_events SEMI JOIN old USING (session_id))",
        [to_micros(before)],
    ).fetchall()
    return Moved(*rows[0])


def archive_batch(connection: DuckDBPyConnection, before: datetime) -> Moved:
    """Move the oldest sessions that ended before a moment, in one transaction.

    Args:
        connection: the writer's.
        before: the moment.

    Returns:
        How much was moved; no sessions: all that were old enough are in the archive.
    """
    with transaction(connection):
        rows = connection.execute(
            f"SELECT session_id FROM sessions WHERE {_OLD} ORDER BY start_time LIMIT ?",  # noqa: S608
            [to_micros(before), BATCH],
        ).fetchall()
        session_ids = [session_id for (session_id,) in rows]
        events = _moved_events(connection, session_ids, _TO_ARCHIVE) if rows else 0
    return Moved(len(rows), events, session_ids)


def bring_back(connection: DuckDBPyConnection, session_ids: Sequence[str]) -> None:
    """Move archived sessions back, in one transaction."""
    with transaction(connection):
        _moved_events(connection, session_ids, _FROM_ARCHIVE)


def archived_events(connection: DuckDBPyConnection, session_ids: Collection[str]) -> Iterator[str]:
    """The ids of all events of archived sessions."""
    query = "SELECT event_id FROM archived_events WHERE session_id IN ({marks})"
    return (found for (found,) in looked_up(connection, query, list(session_ids)))


def _moved_events(
    connection: DuckDBPyConnection, session_ids: Sequence[str], statements: Sequence[str]
) -> int:
    """Move sessions with their events, in the caller's transaction; how many events."""
    connection.register("incoming", {"session_id": text_column(session_ids)})
    counts = [
        connection.execute(f"{statement} {_CHOSEN}").fetchall()[0][0] for statement in statements
    ]
    connection.unregister("incoming")
    return int(counts[-1])
