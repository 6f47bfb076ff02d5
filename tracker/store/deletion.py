"""Sessions out of the store for good, from every table that has something of them.

Runs in the writer's thread. The totals of the metrics stay: they count what happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import NotFound
from tracker.store.search_tables import forget_sessions
from tracker.store.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

_SESSIONS = ("sessions", "archived_sessions")
_EVENTS = ("session_events", "archived_events")


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted; no session: only events had arrived of it, and never its start."""

    session_id: str
    sessions: int
    events: int


def delete_session(
    connection: DuckDBPyConnection, session_id: str, note: Callable[[Deleted], object]
) -> Deleted:
    """Delete a session with everything that is stored of it, in one transaction.

    Args:
        connection: the writer's.
        session_id: the session, or one of which only events have arrived.
        note: called with what is deleted before it is; if it fails, nothing is deleted.

    Raises:
        NotFound: nothing is stored of it.
    """
    with transaction(connection):
        sessions = sum(_delete(connection, table, session_id) for table in _SESSIONS)
        events = sum(_delete(connection, table, session_id) for table in _EVENTS)
        if not sessions + events:
            raise NotFound(
                f"there is no session {session_id!r}",
                hint="see them with: session-buddy list-sessions --archived",
            )
        forget_sessions(connection, [session_id])
        connection.execute(
            "INSERT INTO deleted_sessions (session_id) VALUES (?)", [session_id]
        ).fetchall()
        deleted = Deleted(session_id, sessions, events)
        note(deleted)
    return deleted


def _delete(connection: DuckDBPyConnection, table: str, session_id: str) -> int:
    rows = connection.execute(
        f"DELETE FROM {table} WHERE session_id = ?",  # noqa: S608 -- our own names
        [session_id],
    ).fetchall()
    return int(rows[0][0])
