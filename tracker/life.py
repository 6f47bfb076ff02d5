"""Logs each step of a session's life as the tracker sees it, for ``trace_sessions`` (guide 6.2).

The shell writes lines of the same shape (``orchestrator.shell.trace``): one grep for the session
shows both sides. Runs in the writer's thread; without the setting it asks the store nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from tracker.store.faults import reason_of
from tracker.store.states import FINAL
from tracker.store.transactions import looked_up
from tracker.web.logs import trace_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from duckdb import DuckDBPyConnection

    from tracker.store.rows import EventRow

    Store = Callable[[DuckDBPyConnection, Sequence[EventRow]], set[str]]

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
        self._on = on

    def stored(
        self, connection: DuckDBPyConnection, rows: Sequence[EventRow], store: Store
    ) -> set[str]:
        """Store a group of events, and tell what it made of sessions; the ids that were new."""
        if not self._on:
            return store(connection, rows)
        import duckdb

        session_ids = list({row.session_id for row in rows})
        before = _lives(connection, "sessions", session_ids)
        away = _lives(connection, "archived_sessions", session_ids)
        new = store(connection, rows)
        first = {
            row.session_id: row.event_type
            for row in reversed(rows)
            if row.event_id in new and row.event_type != "session_start"
        }
        try:
            for session_id, life in _lives(connection, "sessions", session_ids).items():
                if session_id in away:
                    trace_line("session_brought_back", session_id=session_id)
                known = before.get(session_id) or away.get(session_id)
                _tell(known, life, first.get(session_id, ""))
        except duckdb.Error as error:
            # The events are on disk: whoever sent them must not hear of a failure.
            _log.warning("life not traced", reason=reason_of(error))
        return new

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
        if self._on:
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


def _lives(
    connection: DuckDBPyConnection, table: str, session_ids: Sequence[str]
) -> dict[str, _Life]:
    query = f"SELECT {_LIFE} FROM {table} WHERE session_id IN ({{marks}})"  # noqa: S608 -- our own names
    return {values[0]: _Life(*values) for values in looked_up(connection, query, session_ids)}
