"""Questions to the store: sessions, their events, counts. Reads only; every answer is bounded."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput, NotFound
from schemas.session import STATUSES
from tracker.store.rows import from_micros

if TYPE_CHECKING:
    from tracker.store.database import Database

LONGEST_PAGE = 1000
"""Sessions or events in one answer at the most."""

FURTHEST_PAGE = 1_000_000_000
"""Sessions that may be skipped."""

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
_SESSION_FIELDS = (
    *("session_id", "component", "session_type", "status", "start_time", "end_time"),
    *("duration_seconds", "command_count", "error_count", "event_count", "exit_code"),
    *("user", "host", "cwd", "pid", "version", "git_branch", "git_commit", "git_dirty"),
    *("author_kind", "run_id", "last_seen", "metadata"),
)
_EVENT_FIELDS = (
    *("event_id", "session_id", "event_type", "timestamp", "received_at", "sequence"),
    *("duration_seconds", "exit_code", "data"),
)
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([A-Za-z0-9_.:-]{1,64})")
_TIMES = frozenset({"start_time", "end_time", "last_seen", "timestamp", "received_at"})
_DOCUMENTS = frozenset({"metadata", "data"})

Record = dict[str, Any]
"""One session or event by field, in the shape of its model in ``schemas.session``."""


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions; an empty field does not filter."""

    session_type: str = ""
    status: str = ""
    component: str = ""
    run_id: str = ""

    def as_sql(self) -> tuple[str, list[Any]]:
        """The condition and its parameters."""
        wanted = {
            "session_type": self.session_type,
            "status": self.status,
            "component": self.component,
            "run_id": self.run_id,
        }
        used = {column: value for column, value in wanted.items() if value}
        condition = " AND ".join(f"{column} = ?" for column in used)
        return (f"WHERE {condition}" if used else "", list(used.values()))


def list_sessions(
    database: Database, wanted: SessionFilter, *, limit: int, offset: int
) -> tuple[list[Record], int]:
    """Sessions, newest first, and how many there are in all.

    Raises:
        InvalidInput: an unknown status, or a page that is out of bounds.
    """
    _check_page(limit)
    if not 0 <= offset <= FURTHEST_PAGE:
        raise InvalidInput(f"offset is a number from 0 to {FURTHEST_PAGE}, not {offset}")
    if wanted.status and wanted.status not in STATUSES:
        raise InvalidInput(
            f"{wanted.status!r} is not a status", hint=f"write one of {', '.join(STATUSES)}"
        )
    condition, parameters = wanted.as_sql()
    total = database.query(f"SELECT count(*) FROM sessions {condition}", parameters)  # noqa: S608 -- columns only
    rows = database.query(
        f"SELECT {_SESSION} FROM sessions {condition}"  # noqa: S608 -- columns only
        " ORDER BY sessions.start_time DESC, session_id DESC LIMIT ? OFFSET ?",
        [*parameters, limit, offset],
    )
    return [_record(_SESSION_FIELDS, row) for row in rows], int(total[0][0])


def get_session(database: Database, session_id: str) -> Record:
    """One session.

    Raises:
        NotFound: there is none with this id.
    """
    rows = database.query(f"SELECT {_SESSION} FROM sessions WHERE session_id = ?", [session_id])  # noqa: S608
    if not rows:
        raise _no_session(session_id)
    return _record(_SESSION_FIELDS, rows[0])


def list_events(
    database: Database, session_id: str, *, limit: int, after: str = ""
) -> tuple[list[Record], str | None]:
    """Events of a session in the order of their times, and a cursor for what follows.

    Args:
        database: where to look.
        session_id: the session; its start need not have arrived yet.
        limit: events at the most.
        after: the cursor of an earlier answer.

    Raises:
        NotFound: neither the session nor an event of it is stored.
        InvalidInput: a page out of bounds, or a cursor that no answer has given.
    """
    _check_page(limit)
    condition, parameters = _after(after)
    rows = database.query(
        f"SELECT {_EVENT} FROM session_events WHERE session_id = ? {condition}"  # noqa: S608
        " ORDER BY session_events.timestamp, sequence, event_id LIMIT ?",
        [session_id, *parameters, limit + 1],
    )
    if not rows and not after:
        get_session(database, session_id)
    page = rows[:limit]
    further = _cursor(page[-1]) if len(rows) > limit else None
    return [_record(_EVENT_FIELDS, row) for row in page], further


def _record(fields: tuple[str, ...], row: tuple[Any, ...]) -> Record:
    record = dict(zip(fields, row, strict=True))
    for name in _TIMES & record.keys():
        record[name] = None if record[name] is None else from_micros(record[name])
    for name in _DOCUMENTS & record.keys():
        record[name] = json.loads(record[name])
    return record


def _check_page(limit: int) -> None:
    if not 1 <= limit <= LONGEST_PAGE:
        raise InvalidInput(f"limit is a number from 1 to {LONGEST_PAGE}, not {limit}")


def _no_session(session_id: str) -> NotFound:
    return NotFound(
        f"there is no session {session_id!r}", hint="see them with: session-buddy list-sessions"
    )


def _cursor(row: tuple[Any, ...]) -> str:
    event_id, _, _, timestamp, _, sequence, *_ = row
    return f"{timestamp}.{sequence}.{event_id}"


def _after(cursor: str) -> tuple[str, list[Any]]:
    if not cursor:
        return "", []
    parts = _CURSOR.fullmatch(cursor)
    if not parts:
        raise InvalidInput(f"{cursor!r} is not a cursor", hint="give the 'next' of an answer back")
    condition = "AND (session_events.timestamp, sequence, event_id) > (make_timestamptz(?), ?, ?)"
    return condition, [int(parts[1]), int(parts[2]), parts[3]]
