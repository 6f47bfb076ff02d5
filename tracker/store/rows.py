"""Events as the store takes them in: checked, with times as microseconds and data as JSON text."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput
from schemas.session import MAX_CLOCK_LEAD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.session import Event, SessionFacts

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
CRASH = "crash"
"""The ``reason`` in the data of a ``session_end`` whose process did not end by itself."""

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event to be stored; times are microseconds since 1970 in UTC."""

    event_id: str
    session_id: str
    event_type: str
    timestamp: int
    received_at: int
    sequence: int = 0
    duration_seconds: float | None = None
    exit_code: int | None = None
    data: str = "{}"
    crashed: bool = False
    facts: SessionFacts | None = field(default=None, compare=False)
    metadata: str = "{}"

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory while it waits."""
        return 300 + len(self.data) + len(self.metadata)


def event_row(event: Event, received_at: datetime) -> EventRow:
    """An event that was validated, as a row.

    Args:
        event: what a client sent.
        received_at: the server's clock.

    Raises:
        InvalidInput: its time is before 1970 or more than a day ahead, or its data has a number
            that JSON does not know.
    """
    if event.timestamp > received_at + MAX_CLOCK_LEAD or event.timestamp < EPOCH:
        raise InvalidInput(
            f"event {event.event_id}: its time {event.timestamp.isoformat()} cannot be right",
            hint=f"set the clock of its host; here it is {received_at.isoformat()}",
        )
    facts = event.session if event.event_type == "session_start" else None
    return EventRow(
        event_id=event.event_id,
        session_id=event.session_id,
        event_type=event.event_type,
        timestamp=to_micros(event.timestamp),
        received_at=to_micros(received_at),
        sequence=event.sequence,
        duration_seconds=event.duration_seconds,
        exit_code=event.exit_code,
        data=json_text(event.data, event.event_id) if event.data else "{}",
        crashed=event.event_type == "session_end" and is_crash(event.data),
        facts=facts,
        metadata=json_text(facts.metadata, event.event_id) if facts else "{}",
    )


def is_crash(data: Mapping[str, Any]) -> bool:
    """Whether the data of a ``session_end`` says that the process did not end by itself."""
    return data.get("reason") == CRASH


def json_text(data: Mapping[str, Any], event_id: str) -> str:
    """Data as JSON text.

    Raises:
        InvalidInput: NaN or Infinity, which JSON does not know, or too deep.
    """
    try:
        return _encode(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"event {event_id}: its data is not JSON: {error}") from None


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of a time with a zone."""
    return (moment - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The UTC time of microseconds since 1970."""
    return EPOCH + micros * _MICROSECOND
