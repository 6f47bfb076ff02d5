"""The tools that read (guide 9.4): sessions, events, numbers over them, search, health.

The guide's arguments keep their names. Its ``component`` had a default that hid rows, and its
``list_events`` no bound: here nothing filters unless asked to, and long answers have a cursor.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from schemas.analytics import SessionAnalytics
from schemas.health import Health
from schemas.moments import parse_moment
from schemas.search import SearchAnswer
from schemas.session import Session
from tracker.mcp.tool import Arguments, Tool
from tracker.sessions import EventPage, SessionPage
from tracker.store.filters import SessionFilter
from tracker.store.queries import FURTHEST_PAGE, LONGEST_PAGE
from tracker.store.search_hits import SearchFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.sessions import SessionService

_WHEN = "how long ago (24h, 7d), or a time in ISO 8601"


class ListSessions(Arguments):
    """Which sessions."""

    limit: int = Field(100, ge=1, le=LONGEST_PAGE, description="sessions at the most")
    offset: int = Field(0, ge=0, le=FURTHEST_PAGE, description="how many to skip")
    session_type: str | None = Field(None, description="such as admin_shell or runbook")
    component: str | None = Field(None, description="such as mahavishnu; none: all")
    status: Literal["active", "ended", "failed", "abandoned"] | None = None
    user: str | None = None
    host: str | None = None
    run_id: str | None = Field(None, description="of the run that the session records")
    since: str | None = Field(None, description=f"started then or later: {_WHEN}")
    until: str | None = Field(None, description=f"started before then: {_WHEN}")
    archived: bool = Field(False, description="also those in the archive")
    cursor: str | None = Field(None, description="'next' of the page before")


class GetSession(Arguments):
    """Which session."""

    session_id: str


class ListEvents(Arguments):
    """Which events."""

    session_id: str
    limit: int = Field(100, ge=1, le=LONGEST_PAGE, description="events at the most")
    cursor: str | None = Field(None, description="'next' of the page before")


class AnalyticsSessions(Arguments):
    """Which range."""

    range_days: int = Field(7, ge=1, le=36500, description="days, up to now")
    zone: str = Field("UTC", description="time zone of days and hours, such as Europe/Berlin")


class SearchSessions(Arguments):
    """What is searched for, and where."""

    query: str = Field(description="words, or a sentence")
    search_type: Literal["semantic", "text", "hybrid"] | None = Field(
        None, description="none: hybrid where there is a model, else text"
    )
    limit: int = Field(20, ge=1, description="hits at the most")
    context: int = Field(1, ge=0, description="events before and after each hit")
    repeats: bool = Field(False, description="each event with a text, not only the newest")
    since: str | None = Field(None, description=f"happened then or later: {_WHEN}")
    until: str | None = Field(None, description=f"happened before then: {_WHEN}")
    session_type: str | None = None
    component: str | None = None
    user: str | None = None
    host: str | None = None
    exit_code: int | None = None
    failed: bool = Field(False, description="only what failed")
    archived: bool = Field(False, description="also in archived sessions")


class HealthCheck(Arguments):
    """Nothing."""


def reading_tools(service: SessionService, health: Callable[[], Health]) -> list[Tool]:
    """The tools over one service.

    Args:
        service: the sessions.
        health: what the server finds when it looks at itself.
    """

    def list_sessions(asked: ListSessions) -> SessionPage:
        wanted = SessionFilter(
            session_type=asked.session_type or "",
            status=asked.status or "",
            component=asked.component or "",
            user=asked.user or "",
            host=asked.host or "",
            run_id=asked.run_id or "",
            since=_moment(asked.since),
            until=_moment(asked.until),
            archived=asked.archived,
        )
        return service.list_sessions(
            wanted, limit=asked.limit, offset=asked.offset, cursor=asked.cursor or ""
        )

    def get_session(asked: GetSession) -> Session:
        return service.get_session(asked.session_id)

    def list_events(asked: ListEvents) -> EventPage:
        return service.list_events(asked.session_id, limit=asked.limit, after=asked.cursor or "")

    def analytics_sessions(asked: AnalyticsSessions) -> SessionAnalytics:
        return service.analytics(f"{asked.range_days}d", zone=asked.zone)

    def search_sessions(asked: SearchSessions) -> SearchAnswer:
        wanted = SearchFilter(
            since=_moment(asked.since),
            until=_moment(asked.until),
            session_type=asked.session_type or "",
            user=asked.user or "",
            host=asked.host or "",
            component=asked.component or "",
            exit_code=asked.exit_code,
            failed=asked.failed,
            archived=asked.archived,
        )
        return service.search(
            asked.query,
            search_type=asked.search_type or "",
            wanted=wanted,
            limit=asked.limit,
            context=asked.context,
            repeats=asked.repeats,
        )

    def health_check(_: HealthCheck) -> Health:
        return health()

    return [
        Tool(
            "list_sessions",
            "List sessions",
            "Recorded shell sessions and runbook runs, newest first, with how many there are in"
            " all. 'next' is the cursor of the page that follows.",
            ListSessions,
            SessionPage,
            list_sessions,
            "read",
        ),
        Tool(
            "get_session",
            "Get a session",
            "One session: who, where, when, its status, and how many commands and errors it had.",
            GetSession,
            Session,
            get_session,
            "read",
        ),
        Tool(
            "list_events",
            "List events of a session",
            "What happened in a session, in the order of time: commands, errors, steps. 'next' is"
            " the cursor of the page that follows.",
            ListEvents,
            EventPage,
            list_events,
            "read",
        ),
        Tool(
            "analytics_sessions",
            "Analyse sessions",
            "Numbers over the sessions of the last days: states, failure ratio, durations, days,"
            " components, users, busiest hours, most failing commands.",
            AnalyticsSessions,
            SessionAnalytics,
            analytics_sessions,
            "read",
        ),
        Tool(
            "search_sessions",
            "Search sessions",
            "What was done, said or failed in sessions, found by words and by meaning, best first,"
            " with the events around each hit.",
            SearchSessions,
            SearchAnswer,
            search_sessions,
            "read",
        ),
        Tool(
            "health_check",
            "Check the tracker's health",
            "What the tracker finds when it looks at itself.",
            HealthCheck,
            Health,
            health_check,
            "",
        ),
    ]


def _moment(text: str | None) -> datetime | None:
    return parse_moment(text, datetime.now(UTC)) if text else None
