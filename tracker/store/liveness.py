"""Which sessions have gone silent. Runs in the writer's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.store.projection import add_totals
from tracker.store.rows import to_micros
from tracker.store.states import ABANDONED, UNCOUNTED_TYPE
from tracker.store.transactions import transaction

if TYPE_CHECKING:
    from datetime import datetime

    from duckdb import DuckDBPyConnection


def mark_abandoned(connection: DuckDBPyConnection, silent_since: datetime) -> list[str]:
    """Mark active sessions that were last heard of before a moment as abandoned.

    Args:
        connection: the writer's.
        silent_since: the moment.

    Returns:
        The ids of the sessions that were marked now.
    """
    with transaction(connection):
        marked = connection.execute(
            "UPDATE sessions SET status = 'abandoned'"
            " WHERE status = 'active' AND last_seen < make_timestamptz(?)"
            " RETURNING session_id, session_type",
            [to_micros(silent_since)],
        ).fetchall()
        counted = sum(session_type != UNCOUNTED_TYPE for _, session_type in marked)
        if counted:
            add_totals(connection, {(ABANDONED, ""): counted})
    return [session_id for session_id, _ in marked]
