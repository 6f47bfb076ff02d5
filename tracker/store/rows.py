"""Events as the store takes them in: checked, with times as microseconds and data as JSON text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import MsgspecError, Struct, field
from msgspec.json import Decoder, Encoder

from schemas.emitted import EmittedEvent, EmittedFacts
from schemas.errors import InvalidInput
from schemas.session import MAX_CLOCK_LEAD, SessionFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.session import Event

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
CRASH = "crash"
"""The ``reason`` in the data of a ``session_end`` whose process did not end by itself."""

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_encode_emitted = Encoder().encode
SESSION = "_session"
"""The field in the data of a stored ``session_start`` with what its sender told of the session."""


class _StartData(Struct):
    session: EmittedFacts | None = field(name=SESSION, default=None)


_read_facts = Decoder(_StartData).decode


class EventRow(Struct, frozen=True, gc=False):
    """One event to be stored; times are microseconds since 1970 in UTC.

    No dataclass, which takes eight times as long to make: a hundred thousand a second are made.
    """

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
    facts: SessionFacts | EmittedFacts | None = None

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory while it waits."""
        return 300 + len(self.data)


def event_rows(events: Iterable[Event | EmittedEvent], received_at: datetime) -> list[EventRow]:
    """Events that were validated, as rows.

    Args:
        events: what a client sent.
        received_at: the server's clock.

    Raises:
        InvalidInput: a time is before 1970 or more than a day ahead, or data has a number that JSON
            does not know.
    """
    latest, received = received_at + MAX_CLOCK_LEAD, to_micros(received_at)
    return [_event_row(event, latest, received) for event in events]


def _event_row(event: Event | EmittedEvent, latest: datetime, received: int) -> EventRow:
    if event.timestamp > latest or event.timestamp < EPOCH:
        raise InvalidInput(
            f"event {event.event_id}: its time {event.timestamp.isoformat()} cannot be right",
            hint=f"set the clock of its host; here it is {from_micros(received).isoformat()}",
        )
    facts = event.session if event.event_type == "session_start" else None
    return EventRow(
        event.event_id,
        event.session_id,
        event.event_type,
        # A float has microseconds exactly up to the year 2255, and this is called for each event.
        round(event.timestamp.timestamp() * 1e6),
        received,
        event.sequence,
        event.duration_seconds,
        event.exit_code,
        _data_text(event, facts) if event.data or facts else "{}",
        event.event_type == "session_end" and is_crash(event.data),
        facts,
    )


def _data_text(event: Event | EmittedEvent, facts: SessionFacts | EmittedFacts | None) -> str:
    """The data as JSON. That of a start has the facts too: sessions are made from their events."""
    data = {**event.data, SESSION: facts} if facts else event.data
    if isinstance(facts, SessionFacts):
        data[SESSION] = facts.model_dump(exclude_defaults=True)
    try:
        if isinstance(event, EmittedEvent):
            return _encode_emitted(data).decode()  # its reader lets no NaN pass
        return _encode(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"event {event.event_id}: its data is not JSON: {error}") from None


def facts_in(data: str) -> EmittedFacts | None:
    """The facts in the stored data of a ``session_start``; None: an older release stored it."""
    try:
        return _read_facts(data).session
    except MsgspecError:
        return None


def metadata_text(facts: SessionFacts | EmittedFacts) -> str:
    """The metadata of a session as JSON."""
    return _encode_emitted(facts.metadata).decode()


def is_crash(data: Mapping[str, Any]) -> bool:
    """Whether the data of a ``session_end`` says that the process did not end by itself."""
    return data.get("reason") == CRASH


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of a time with a zone."""
    return (moment - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The UTC time of microseconds since 1970."""
    return EPOCH + micros * _MICROSECOND
