"""Events as the tests write them: a session, a type, and how many seconds after nine."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from schemas.session import Event

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

_numbers = itertools.count(1)


def make_event(session_id, event_type="command", *, at=0.0, **fields):
    """An event of a session, ``at`` seconds after nine o'clock."""
    fields.setdefault("event_id", f"event-{next(_numbers)}")
    if event_type == "session_start":
        fields.setdefault("session", {"component": "mahavishnu"})
    return Event(
        session_id=session_id,
        event_type=event_type,
        timestamp=NINE + timedelta(seconds=at),
        **fields,
    )


def wire(*events):
    """The body of a request that sends these events."""
    return {"events": [event.model_dump(mode="json", exclude_none=True) for event in events]}
