"""What events make of a session: its counts, its status, and what the metrics gain by it. Pure.

    active ──end, exit code 0──────────────▶ ended
       │ ╰───end, other exit code or crash─▶ failed
       ▼ silent for three checkpoints
    abandoned ──any later event──▶ active (or ended, failed: if that event is the end)

Ended and failed are final: later events are counted and change nothing else, and so is a second
end. A session exists from its ``session_start`` on; events that come before it are kept and
counted as soon as it comes, so an end of a session that never started counts nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from tracker.store.rows import EventRow

FINAL = frozenset({"ended", "failed"})
UNCOUNTED_TYPE = "acceptance"
"""Sessions of this type are made by the project's own checks and count in no metric."""

SESSIONS = "sessions"
FAILED = "sessions_failed"
ABANDONED = "sessions_abandoned"
EVENTS_LOST = "events_lost"
DURATION_BUCKET = "session_duration_bucket"
DURATION_SUM = "session_duration_sum"
DURATION_BOUNDS = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Upper bounds in seconds: from a one-line command to a shell left open for a day."""

OVERFLOW = "+Inf"
MOST_LOST = 10**9
"""What one event may say was dropped before it; a sender that errs must not spoil the total."""


@dataclass(slots=True)
class SessionState:
    """The part of a session that events change; times are microseconds since 1970 in UTC."""

    session_id: str
    component: str
    session_type: str
    start_time: int
    status: str = "active"
    end_time: int | None = None
    duration_seconds: float | None = None
    exit_code: int | None = None
    command_count: int = 0
    error_count: int = 0
    event_count: int = 0
    last_seen: int = 0

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL


def started(event: EventRow) -> SessionState:
    """The session that a ``session_start`` opens, before any event is counted."""
    assert event.facts is not None  # noqa: S101 -- schemas.session refuses a start without facts
    return SessionState(
        session_id=event.session_id,
        component=event.facts.component,
        session_type=event.facts.session_type,
        start_time=event.timestamp,
    )


def advance(state: SessionState, events: Iterable[EventRow]) -> None:
    """Bring a state forward by events, in the order in which they arrived.

    In place, since a hundred thousand events a second go through here.
    """
    for event in events:
        state.event_count += 1
        state.last_seen = max(state.last_seen, event.received_at)
        if event.event_type == "command":
            state.command_count += 1
        if _is_error(event):
            state.error_count += 1
        if event.event_type == "session_end":
            _end(state, event)
        elif not state.final:
            state.status = "active"


def _end(state: SessionState, event: EventRow) -> None:
    if state.final:
        return
    state.status = "failed" if event.crashed or event.exit_code else "ended"
    state.end_time = event.timestamp
    state.exit_code = event.exit_code
    state.duration_seconds = event.duration_seconds
    if state.duration_seconds is None:
        state.duration_seconds = max(0.0, (event.timestamp - state.start_time) / 1e6)


def _is_error(event: EventRow) -> bool:
    if event.event_type == "error":
        return True
    return bool(event.exit_code) and event.event_type in {"command", "step"}


def gains(state: SessionState, *, new: bool, was_final: bool) -> Iterator[tuple[str, str, float]]:
    """What the totals of the metrics gain when a session has come to this state.

    Args:
        state: the state now.
        new: it was not stored before.
        was_final: it had ended before.

    Yields:
        Metric, label and what to add.
    """
    if state.session_type == UNCOUNTED_TYPE:
        return
    if new:
        yield SESSIONS, state.component, 1
    if state.final and not was_final:
        seconds = state.duration_seconds or 0.0
        yield DURATION_BUCKET, bucket(seconds), 1
        yield DURATION_SUM, "", seconds
        if state.status == "failed":
            yield FAILED, "", 1


def losses(
    gaps: Sequence[EventRow], states: Collection[SessionState]
) -> Iterator[tuple[str, str, float]]:
    """What the totals gain by events that senders say they had to drop.

    They count from the moment they are known, also when the start of their session never comes: it
    may be among what was dropped.

    Args:
        gaps: events of that type that were not counted before.
        states: the sessions among theirs that are known.

    Yields:
        Metric, label and what to add.
    """
    uncounted = {state.session_id for state in states if state.session_type == UNCOUNTED_TYPE}
    for row in gaps:
        dropped = json.loads(row.data).get("dropped")
        if type(dropped) is int and dropped > 0 and row.session_id not in uncounted:
            yield EVENTS_LOST, "", min(dropped, MOST_LOST)


def bucket(seconds: float) -> str:
    """The label of the histogram's bucket that a duration falls into."""
    return next((str(bound) for bound in DURATION_BOUNDS if seconds <= bound), OVERFLOW)
