"""Which sessions and events a request asks for, as its query says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.store.filters import EventFilter, SessionFilter
from tracker.web.parameters import read_flag, read_moment

if TYPE_CHECKING:
    from collections.abc import Mapping

SESSION_PARAMETERS = frozenset(
    {
        *("type", "status", "component", "user", "host", "run_id"),
        *("since", "until", "archived"),
    }
)
EVENT_PARAMETERS = frozenset({"type", "since", "until", "archived"})


def session_filter(query: Mapping[str, str]) -> SessionFilter:
    """The sessions that a query asks for.

    Raises:
        InvalidInput: a time or a flag is none.
    """
    return SessionFilter(
        session_type=query.get("type", ""),
        status=query.get("status", ""),
        component=query.get("component", ""),
        user=query.get("user", ""),
        host=query.get("host", ""),
        run_id=query.get("run_id", ""),
        since=read_moment(query, "since"),
        until=read_moment(query, "until"),
        archived=read_flag(query, "archived"),
    )


def event_filter(query: Mapping[str, str]) -> EventFilter:
    """The events that a query asks for.

    Raises:
        InvalidInput: a time or a flag is none.
    """
    return EventFilter(
        event_type=query.get("type", ""),
        since=read_moment(query, "since"),
        until=read_moment(query, "until"),
        archived=read_flag(query, "archived"),
    )


def events_of_sessions(query: Mapping[str, str]) -> EventFilter:
    """The events of the sessions that a query asks for; its times are those of the events.

    Raises:
        InvalidInput: a time or a flag is none.
    """
    archived = read_flag(query, "archived")
    of = {key: value for key, value in query.items() if key not in {"since", "until", "archived"}}
    return EventFilter(
        since=read_moment(query, "since"),
        until=read_moment(query, "until"),
        archived=archived,
        of=session_filter({**of, "archived": str(archived)}) if of else None,
    )
