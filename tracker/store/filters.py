"""Which sessions and which events are asked for, as conditions in SQL. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput
from schemas.session import EVENT_TYPES, STATUSES
from tracker.store.archive_schema import ALL_EVENTS, ALL_SESSIONS
from tracker.store.rows import to_micros

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Condition:
    """What stands after WHERE, and its parameters. Made of our own words: texts are parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()

    def __and__(self, other: Condition) -> Condition:
        return Condition(f"{self.sql} AND {other.sql}", (*self.parameters, *other.parameters))

    def then(self, sql: str, *parameters: Any) -> Condition:
        """The same with what comes after it: an order, a limit."""
        return Condition(f"{self.sql} {sql}", (*self.parameters, *parameters))


ALL = Condition("TRUE")


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions; an empty field does not filter.

    Args:
        session_type: such as ``admin_shell``.
        status: one of ``schemas.session.STATUSES``.
        component: such as ``mahavishnu``.
        user: the login name.
        host: the host's name.
        run_id: of the run that the session records.
        since: started at this time or later.
        until: started before this time.
        archived: also those in the archive.
    """

    session_type: str = ""
    status: str = ""
    component: str = ""
    user: str = ""
    host: str = ""
    run_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    archived: bool = False

    @property
    def source(self) -> str:
        """What stands after FROM; it goes by the name ``sessions``."""
        return f"{ALL_SESSIONS} AS sessions" if self.archived else "sessions"

    def condition(self) -> Condition:
        """What stands after WHERE.

        Raises:
            InvalidInput: an unknown status.
        """
        _check_known("status", self.status, STATUSES)
        wanted = {
            "session_type": self.session_type,
            "status": self.status,
            "component": self.component,
            '"user"': self.user,
            "host": self.host,
            "run_id": self.run_id,
        }
        return _equal(wanted) & within("sessions.start_time", self.since, self.until)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; an empty field does not filter.

    Args:
        event_type: one of ``schemas.session.EVENT_TYPES``.
        since: happened at this time or later, by the clock of its host.
        until: happened before this time.
        archived: also those of archived sessions.
        of: only those of these sessions; None: also those whose session has not arrived.
    """

    event_type: str = ""
    since: datetime | None = None
    until: datetime | None = None
    archived: bool = False
    of: SessionFilter | None = None

    @property
    def source(self) -> str:
        """What stands after FROM; it goes by the name ``events``."""
        return f"{ALL_EVENTS if self.archived else 'session_events'} AS events"

    def condition(self) -> Condition:
        """What stands after WHERE.

        Raises:
            InvalidInput: an unknown type.
        """
        _check_known("type of event", self.event_type, EVENT_TYPES)
        wanted = _equal({"event_type": self.event_type})
        wanted &= within("events.timestamp", self.since, self.until)
        if self.of is None:
            return wanted
        chosen = self.of.condition()
        sessions = f"SELECT session_id FROM {self.of.source} WHERE {chosen.sql}"  # noqa: S608 -- our own words
        return wanted & Condition(f"events.session_id IN ({sessions})", chosen.parameters)


def within(column: str, since: datetime | None, until: datetime | None) -> Condition:
    """A time at or after one moment and before another; None: no bound."""
    condition = ALL
    if since is not None:
        condition &= Condition(f"{column} >= make_timestamptz(?)", (to_micros(since),))
    if until is not None:
        condition &= Condition(f"{column} < make_timestamptz(?)", (to_micros(until),))
    return condition


def _equal(wanted: Mapping[str, str]) -> Condition:
    condition = ALL
    for column, value in wanted.items():
        if value:
            condition &= Condition(f"{column} = ?", (value,))
    return condition


def _check_known(what: str, value: str, known: tuple[str, ...]) -> None:
    if value and value not in known:
        raise InvalidInput(f"{value!r} is not a {what}", hint=f"write one of {', '.join(known)}")
