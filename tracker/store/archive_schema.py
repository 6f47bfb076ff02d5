"""The tables of the archive, and what reads live and archived rows as one: SQL only.

Archived rows keep their columns. Whoever adds a column to ``sessions`` or ``session_events`` adds
it here in the same migration.
"""

from __future__ import annotations

TABLES = (
    "CREATE TABLE archived_sessions AS FROM sessions WITH NO DATA",
    "ALTER TABLE archived_sessions ADD COLUMN archived_at TIMESTAMPTZ",
    # Ingest looks here for the session of a late event.
    "CREATE UNIQUE INDEX idx_archived_sessions_session_id ON archived_sessions (session_id)",
    # Without an index: the archive is read seldom, and reading a column of a million rows takes
    # 20 ms, while an index of theirs would be kept in memory all the time.
    "CREATE TABLE archived_events AS FROM session_events WITH NO DATA",
    # Only the ids of what was deleted, so that an event that was still on its way, or is sent
    # again, does not bring a part of it back.
    """
    CREATE TABLE deleted_sessions (
        session_id TEXT PRIMARY KEY,
        deleted_at TIMESTAMPTZ NOT NULL DEFAULT now()
    )
    """,
)

ALL_SESSIONS = """(
    SELECT *, NULL::TIMESTAMPTZ AS archived_at FROM sessions
    UNION ALL BY NAME SELECT * FROM archived_sessions)"""
"""Every session; ``archived_at`` is null for those that are not archived. For a FROM clause."""

ALL_EVENTS = "(FROM session_events UNION ALL BY NAME FROM archived_events)"
"""Every event, archived or not. For a FROM clause."""
