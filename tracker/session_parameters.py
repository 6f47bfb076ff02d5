"""Which sessions and events a request asks for: the parameters, and the filters that they mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from schemas.session import Identifier
from tracker.store.cursors import EVENT_CURSOR, SESSION_CURSOR
from tracker.store.filters import EventFilter, SessionFilter
from tracker.store.queries import FURTHEST_PAGE, LONGEST_PAGE
from tracker.web.parameters import DIGITS, Flag, Moment, Parameters, Word

Limit = Annotated[
    int,
    Field(ge=1, le=LONGEST_PAGE),
    DIGITS,
    Field(description="how many at the most"),
]

# Checked where it is taken apart, by the same expressions.
SessionCursor = Annotated[
    str,
    Field(
        description="the 'next' of an earlier answer; empty: from the beginning",
        json_schema_extra={"pattern": f"^({SESSION_CURSOR})?$"},
    ),
]
EventCursor = Annotated[
    str,
    Field(
        description="the 'next' of an earlier answer; empty: from the beginning",
        json_schema_extra={"pattern": f"^({EVENT_CURSOR})?$"},
    ),
]


class OneSession(BaseModel):
    """The part of a path that names a session."""

    session_id: Identifier


class _Period(Parameters):
    since: Moment | None = Field(
        None, description="at this time or later: how long ago, a date, or a time"
    )
    until: Moment | None = Field(None, description="before this time; as 'since'")
    archived: Flag = Field(False, description="in the archive too")


class SessionParameters(_Period):
    """Which sessions; what is not given does not filter."""

    type: Word | None = Field(None, description="type of session, such as admin_shell")
    status: Literal["active", "ended", "failed", "abandoned"] | None = None
    component: Word | None = Field(None, description="such as mahavishnu")
    user: Word | None = Field(None, description="login name")
    host: Word | None = Field(None, description="name of the host")
    run_id: Word | None = Field(None, description="id of the run that the session records")

    def filter(self) -> SessionFilter:
        """The sessions that are asked for."""
        return SessionFilter(
            session_type=self.type or "",
            status=self.status or "",
            component=self.component or "",
            user=self.user or "",
            host=self.host or "",
            run_id=self.run_id or "",
            since=self.since,
            until=self.until,
            archived=self.archived,
        )


class EventParameters(_Period):
    """Which events; what is not given does not filter."""

    type: (
        Literal["session_start", "command", "error", "checkpoint", "step", "gap", "session_end"]
        | None
    ) = None

    def filter(self) -> EventFilter:
        """The events that are asked for."""
        return EventFilter(
            event_type=self.type or "",
            since=self.since,
            until=self.until,
            archived=self.archived,
        )


class SessionPageParameters(SessionParameters):
    """Which sessions, and which page of them."""

    limit: Limit = 100
    offset: Annotated[int, Field(ge=0, le=FURTHEST_PAGE), DIGITS] = Field(
        0, description="how many to skip"
    )
    cursor: SessionCursor = ""


class EventPageParameters(EventParameters):
    """Which events, and which page of them."""

    limit: Limit = 100
    cursor: EventCursor = ""


class EventsOfSessionParameters(Parameters):
    """Which page of a session's events."""

    limit: Limit = 100
    after: EventCursor = ""


def events_of_sessions(asked: SessionParameters) -> EventFilter:
    """The events of the sessions that are asked for; the times are those of the events."""
    anything = SessionFilter(archived=asked.archived)
    of = replace(asked.filter(), since=None, until=None)
    return EventFilter(
        since=asked.since,
        until=asked.until,
        archived=asked.archived,
        of=None if of == anything else of,
    )
