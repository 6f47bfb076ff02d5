"""Cursors: where an answer ended, as a text that the next question gives back. Pure.

A cursor names the last row by what rows are ordered by, so that rows which arrive meanwhile move
nothing, and a page far back costs what the first one costs.
"""

from __future__ import annotations

import re

from schemas.errors import InvalidInput
from tracker.store.filters import ALL, Condition

_NUMBER = r"([0-9]{1,18})"
_ID = r"([A-Za-z0-9_.:-]{1,64})"
SESSION_CURSOR = rf"{_NUMBER}\.{_ID}"
EVENT_CURSOR = rf"{_NUMBER}\.{_NUMBER}\.{_ID}"
_SESSION = re.compile(SESSION_CURSOR)
_EVENT = re.compile(EVENT_CURSOR)


def session_cursor(session_id: str, start_time: int) -> str:
    """The cursor of a session; the time is microseconds since 1970."""
    return f"{start_time}.{session_id}"


def event_cursor(event_id: str, timestamp: int, sequence: int) -> str:
    """The cursor of an event; the time is microseconds since 1970."""
    return f"{timestamp}.{sequence}.{event_id}"


def sessions_beyond(cursor: str, *, newest_first: bool = True) -> Condition:
    """The sessions that follow a cursor; an empty one: all.

    Raises:
        InvalidInput: no answer has given this cursor.
    """
    if not cursor:
        return ALL
    start_time, session_id = _parts(_SESSION, cursor)
    order = "<" if newest_first else ">"
    # The first half alone lets DuckDB skip the blocks that cannot hold any.
    return Condition(
        f"sessions.start_time {order}= make_timestamptz(?)"
        f" AND (sessions.start_time, session_id) {order} (make_timestamptz(?), ?)",
        (int(start_time), int(start_time), session_id),
    )


def events_beyond(cursor: str, *, newest_first: bool = False) -> Condition:
    """The events that follow a cursor; an empty one: all.

    Raises:
        InvalidInput: no answer has given this cursor.
    """
    if not cursor:
        return ALL
    timestamp, sequence, event_id = _parts(_EVENT, cursor)
    order = "<" if newest_first else ">"
    return Condition(
        f"events.timestamp {order}= make_timestamptz(?)"
        f" AND (events.timestamp, sequence, event_id) {order} (make_timestamptz(?), ?, ?)",
        (int(timestamp), int(timestamp), int(sequence), event_id),
    )


def _parts(pattern: re.Pattern[str], cursor: str) -> tuple[str, ...]:
    match = pattern.fullmatch(cursor)
    if match is None:
        raise InvalidInput(f"{cursor!r} is not a cursor", hint="give the 'next' of an answer back")
    return match.groups()
