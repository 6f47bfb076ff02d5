"""Logs each step of a session's life as the tracker sees it, for ``trace_sessions`` (guide 6.2).

The shell writes lines of the same shape (``orchestrator.shell.trace``): one grep for the session
shows both sides. Runs in the writer's thread; without the setting it asks the store nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from tracker.store.faults import reason_of
from tracker.store.projection import project
from tracker.store.states import FINAL
from tracker.store.transactions import looked_up
from tracker.web.logs import trace_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from duckdb import DuckDBPyConnection

    from tracker.store.rows import EventRow

_OPENING = 1
"""Events that a session has when it has only begun."""

_LIFE = "session_id, status, event_count, component, session_type, exit_code, duration_seconds"

_log = structlog.get_logger("sessions")


@dataclass(frozen=True, slots=True)
class _Life:
    """A session as it is stored."""

    session_id: str
    status: str
    event_count: int
    component: str
    session_type: str
    exit_code: int | None
    duration_seconds: float | None


class LifeTrace:
    """Traces the sessions of one tracker.

    Args:
        on: whether the setting asks for it.
    """

    def __init__(self, *, on: bool) -> None:
        self.on = on

    def project(
        self,
        connection: DuckDBPyConnection,
        by_session: Mapping[str, Sequence[EventRow]],
        unheard: Collection[str],
    ) -> None:
        """Bring sessions forward by their events, and tell what became of them."""
        if not self.on:
            project(connection, by_session, unheard)
            return
        import duckdb

        session_ids = list(by_session)
        before = _lives(connection, session_ids)
        project(connection, by_session, unheard)
        try:
            for session_id, life in _lives(connection, session_ids).items():
                kinds = (event.event_type for event in by_session[session_id])
                first = next((kind for kind in kinds if kind != "session_start"), "")
                _tell(before.get(session_id), life, first)
        except duckdb.Error as error:
            # The events are on disk: whoever sent them must not hear of a failure.
            _log.warning("life not traced", reason=reason_of(error))

    def brought_back(self, session_ids: Iterable[str]) -> None:
        """Tell that sessions came back from the archive, since something of them arrived."""
        self._each("session_brought_back", session_ids)

    def abandoned(self, session_ids: Iterable[str]) -> None:
        """Tell that sessions have gone silent."""
        self._each("session_abandoned", session_ids)

    def archived(self, session_ids: Iterable[str]) -> None:
        """Tell that sessions were moved into the archive."""
        self._each("session_archived", session_ids)

    def deleted(self, session_id: str) -> None:
        """Tell that a session was deleted for good."""
        self._each("session_deleted", [session_id])

    def _each(self, event: str, session_ids: Iterable[str]) -> None:
        if self.on:
            for session_id in session_ids:
                trace_line(event, session_id=session_id)


def _tell(before: _Life | None, now: _Life, first: str) -> None:
    session_id = now.session_id
    if before is None and now.event_count:
        trace_line(
            "session_start",
            session_id=session_id,
            component=now.component,
            session_type=now.session_type,
        )
    had = before.event_count if before else _OPENING
    if had <= _OPENING < now.event_count and first not in {"", "session_end"}:
        trace_line("session_first_event", session_id=session_id, type=first)
    if before is not None and before.status == "abandoned" and now.status != "abandoned":
        trace_line("session_revived", session_id=session_id, status=now.status)
    if now.status in FINAL and (before is None or before.status not in FINAL):
        trace_line(
            "session_end",
            session_id=session_id,
            status=now.status,
            exit_code=now.exit_code,
            seconds=now.duration_seconds,
        )


def _lives(connection: DuckDBPyConnection, session_ids: Sequence[str]) -> dict[str, _Life]:
    query = f"SELECT {_LIFE} FROM sessions WHERE session_id IN ({{marks}})"  # noqa: S608 -- our own names
    return {values[0]: _Life(*values) for values in looked_up(connection, query, session_ids)}
