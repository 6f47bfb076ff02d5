"""Rows of sessions and events as records: by field, in the shape of ``schemas.session``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracker.store.cursors import event_cursor, session_cursor
from tracker.store.rows import from_micros, to_micros

if TYPE_CHECKING:
    from tracker.store.database import Database
    from tracker.store.filters import Condition, EventFilter, SessionFilter

_SESSION = (
    "session_id, component, session_type, status, epoch_us(start_time) AS start_time,"
    " epoch_us(end_time) AS end_time, duration_seconds, command_count, error_count, event_count,"
    ' exit_code, "user", host, cwd, pid, version, git_branch, git_commit, git_dirty, author_kind,'
    " run_id, epoch_us(last_seen) AS last_seen, metadata"
)
_EVENT = (
    "event_id, session_id, event_type, epoch_us(timestamp), epoch_us(received_at), sequence,"
    " duration_seconds, exit_code, data"
)
SESSION_FIELDS = (
    *("session_id", "component", "session_type", "status", "start_time", "end_time"),
    *("duration_seconds", "command_count", "error_count", "event_count", "exit_code"),
    *("user", "host", "cwd", "pid", "version", "git_branch", "git_commit", "git_dirty"),
    *("author_kind", "run_id", "last_seen", "metadata", "archived"),
)
EVENT_FIELDS = (
    *("event_id", "session_id", "event_type", "timestamp", "received_at", "sequence"),
    *("duration_seconds", "exit_code", "data"),
)
_TIMES = frozenset({"start_time", "end_time", "last_seen", "timestamp", "received_at"})
_DOCUMENTS = frozenset({"metadata", "data"})

Record = dict[str, Any]
"""One session or event by field, in the shape of its model in ``schemas.session``."""


def fetch_sessions(database: Database, wanted: SessionFilter, chosen: Condition) -> list[Record]:
    """Sessions.

    Args:
        database: where they are.
        wanted: says whether the archive is looked at too.
        chosen: what stands after WHERE, with the order and the limit.
    """
    archived = "archived_at IS NOT NULL" if wanted.archived else "FALSE"
    rows = database.query(
        f"SELECT {_SESSION}, {archived} FROM {wanted.source} WHERE {chosen.sql}",  # noqa: S608
        chosen.parameters,
    )
    return [_record(SESSION_FIELDS, row) for row in rows]


def fetch_events(database: Database, wanted: EventFilter, chosen: Condition) -> list[Record]:
    """Events; the arguments are as for ``fetch_sessions``."""
    rows = database.query(
        f"SELECT {_EVENT} FROM {wanted.source} WHERE {chosen.sql}",  # noqa: S608 -- our own words
        chosen.parameters,
    )
    return [_record(EVENT_FIELDS, row) for row in rows]


def sessions_page(sessions: list[Record], limit: int) -> tuple[list[Record], str | None]:
    """The first sessions, and a cursor for what follows them; None: nothing does."""
    if len(sessions) <= limit:
        return sessions, None
    last = sessions[limit - 1]
    return sessions[:limit], session_cursor(last["session_id"], to_micros(last["start_time"]))


def events_page(events: list[Record], limit: int) -> tuple[list[Record], str | None]:
    """The first events, and a cursor for what follows them; None: nothing does."""
    if len(events) <= limit:
        return events, None
    last = events[limit - 1]
    cursor = event_cursor(last["event_id"], to_micros(last["timestamp"]), last["sequence"])
    return events[:limit], cursor


def _record(fields: tuple[str, ...], row: tuple[Any, ...]) -> Record:
    record = dict(zip(fields, row, strict=True))
    for name in _TIMES & record.keys():
        record[name] = None if record[name] is None else from_micros(record[name])
    for name in _DOCUMENTS & record.keys():
        record[name] = json.loads(record[name])
    return record
