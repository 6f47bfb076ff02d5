"""One group of events into the database: the events that are new, and what they make of sessions.

Runs in the writer's thread. Whatever happens, either all of the group is stored or none of it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from tracker.store.archive import archived_among, archived_events, bring_back
from tracker.store.columns import (
    Columns,
    event_columns,
    facts_columns,
    number_column,
    state_columns,
    text_column,
)
from tracker.store.deletion import deleted_among
from tracker.store.rows import EventRow, is_crash
from tracker.store.states import SessionState, advance, gains, losses, started
from tracker.store.transactions import looked_up, transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duckdb import DuckDBPyConnection


_STATE = (
    "session_id, component, session_type, epoch_us(start_time), status, epoch_us(end_time),"
    " duration_seconds, exit_code, command_count, error_count, event_count, epoch_us(last_seen)"
)

_INSERT_EVENTS = """
INSERT INTO session_events (
    event_id, session_id, event_type, timestamp, data, received_at, sequence, duration_seconds,
    exit_code)
SELECT event_id, session_id, event_type, make_timestamptz(timestamp), data,
    make_timestamptz(received_at), sequence, duration_seconds, exit_code
FROM incoming
"""

_INSERT_SESSIONS = """
INSERT INTO sessions (
    session_id, component, session_type, start_time, created_at, metadata, user, host, cwd, pid,
    version, git_branch, git_commit, git_dirty, author_kind, run_id,
    status, end_time, duration_seconds, exit_code, command_count, error_count, event_count,
    last_seen)
SELECT session_id, component, session_type, make_timestamptz(start_time),
    make_timestamptz(created_at), metadata, user, host, cwd, pid, version, git_branch, git_commit,
    git_dirty, author_kind, run_id, status, make_timestamptz(end_time), duration_seconds,
    exit_code, command_count, error_count, event_count, make_timestamptz(last_seen)
FROM incoming
"""

# By rowid, which does not change within a transaction: a join on session_id would read that column
# of the whole table (18 ms at a million sessions, instead of 2).
_UPDATE_SESSIONS = """
UPDATE sessions SET
    status = incoming.status, end_time = make_timestamptz(incoming.end_time),
    duration_seconds = incoming.duration_seconds, exit_code = incoming.exit_code,
    command_count = incoming.command_count, error_count = incoming.error_count,
    event_count = incoming.event_count, last_seen = make_timestamptz(incoming.last_seen)
FROM incoming WHERE sessions.rowid = incoming.row
"""

_ADD_TOTALS = """
INSERT INTO metric_totals SELECT metric, label, value FROM incoming
ON CONFLICT (metric, label) DO UPDATE SET value = metric_totals.value + excluded.value
"""


def store_events(connection: DuckDBPyConnection, rows: Sequence[EventRow]) -> set[str]:
    """Store a group of events in one transaction.

    Args:
        connection: the writer's.
        rows: the events, in the order in which they arrived; ids may occur twice.

    Returns:
        The ids of the events that were new.
    """
    import duckdb

    unique: dict[str, EventRow] = {}
    for row in rows:
        unique.setdefault(row.event_id, row)
    fresh = list(unique.values())
    while fresh:
        try:
            _store(connection, fresh)
        except duckdb.ConstraintException:
            # Somebody sent an event again. Looking that up before each group would cost more than
            # the group itself; ON CONFLICT costs three times a plain insert and grows with the
            # table.
            known = _known_ids(connection, [row.event_id for row in fresh])
            if not known:
                raise
            fresh = [row for row in fresh if row.event_id not in known]
        except _NotHere as elsewhere:
            fresh = _prepared(connection, fresh, elsewhere)
        else:
            break
    return {row.event_id for row in fresh}


class _NotHere(Exception):
    """Sessions of a group are in the archive, or were deleted; nothing of the group was stored."""

    def __init__(self, archived: set[str], deleted: set[str]) -> None:
        super().__init__(archived, deleted)
        self.archived = archived
        self.deleted = deleted


def _prepared(
    connection: DuckDBPyConnection, rows: Sequence[EventRow], elsewhere: _NotHere
) -> list[EventRow]:
    """The events that are left to be stored, with their sessions brought back from the archive."""
    known = set(archived_events(connection, elsewhere.archived))
    left = [
        row for row in rows if row.event_id not in known and row.session_id not in elsewhere.deleted
    ]
    bring_back(connection, sorted(elsewhere.archived & {row.session_id for row in left}))
    return left


def _store(connection: DuckDBPyConnection, rows: Sequence[EventRow]) -> None:
    with transaction(connection):
        _insert(connection, _INSERT_EVENTS, event_columns(rows))
        _update_sessions(connection, rows)


def _insert(connection: DuckDBPyConnection, statement: str, columns: Columns) -> None:
    connection.register("incoming", columns)
    connection.execute(statement).fetchall()
    connection.unregister("incoming")


def _known_ids(connection: DuckDBPyConnection, event_ids: Sequence[str]) -> set[str]:
    query = "SELECT event_id FROM session_events WHERE event_id IN ({marks})"
    return {found[0] for found in looked_up(connection, query, event_ids)}


def _update_sessions(connection: DuckDBPyConnection, rows: Sequence[EventRow]) -> None:
    by_session: dict[str, list[EventRow]] = defaultdict(list)
    for row in rows:
        by_session[row.session_id].append(row)
    totals: dict[tuple[str, str], float] = defaultdict(float)

    query = f"SELECT rowid, {_STATE} FROM sessions WHERE session_id IN ({{marks}})"  # noqa: S608
    changed: dict[int, SessionState] = {}
    for row_id, *values in looked_up(connection, query, list(by_session)):
        state = SessionState(*values)
        was_final = state.final
        advance(state, by_session.pop(state.session_id))
        changed[row_id] = state
        _add(totals, gains(state, new=False, was_final=was_final))

    _check_here(connection, list(by_session))

    starts = {row.session_id: row for row in reversed(rows) if row.facts is not None}
    opened = {session_id: row for session_id, row in starts.items() if session_id in by_session}
    created = [started(row) for row in opened.values()]
    early = _stored_events(connection, opened.keys())
    for state in created:
        advance(state, early[state.session_id])
        _add(totals, gains(state, new=True, was_final=False))

    _add(totals, losses(rows, [*changed.values(), *created]))

    if changed:
        columns = state_columns(list(changed.values()))
        columns["row"] = number_column(list(changed), "int64")
        _insert(connection, _UPDATE_SESSIONS, columns)
    if created:
        columns = state_columns(created) | facts_columns(list(opened.values()))
        _insert(connection, _INSERT_SESSIONS, columns)
    if totals:
        add_totals(connection, totals)


def _check_here(connection: DuckDBPyConnection, session_ids: Sequence[str]) -> None:
    """Sessions without a row are new, unless they are in the archive or were deleted."""
    archived = archived_among(connection, session_ids)
    deleted = deleted_among(connection, session_ids)
    if archived or deleted:
        raise _NotHere(archived, deleted)


def _add(totals: dict[tuple[str, str], float], gained: Iterable[tuple[str, str, float]]) -> None:
    for metric, label, value in gained:
        totals[metric, label] += value


def add_totals(connection: DuckDBPyConnection, totals: dict[tuple[str, str], float]) -> None:
    """Add to the stored totals of the metrics.

    Args:
        connection: the writer's, in a transaction.
        totals: what to add, by metric and label.
    """
    columns = {
        "metric": text_column([metric for metric, _ in totals]),
        "label": text_column([label for _, label in totals]),
        "value": number_column(list(totals.values()), "float64"),
    }
    _insert(connection, _ADD_TOTALS, columns)


def store_property(connection: DuckDBPyConnection, name: str, value: str) -> None:
    """Note a fact that the tracker wants to know about itself after a restart."""
    connection.execute(
        "INSERT INTO properties VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value],
    ).fetchall()


def _stored_events(
    connection: DuckDBPyConnection, session_ids: Iterable[str]
) -> dict[str, list[EventRow]]:
    """Every stored event of these sessions, those of this transaction and those before it."""
    query = (
        "SELECT event_id, session_id, event_type, epoch_us(timestamp), epoch_us(received_at),"
        " sequence, duration_seconds, exit_code, data FROM session_events"
        " WHERE session_id IN ({marks}) ORDER BY received_at, timestamp, sequence"
    )
    events: dict[str, list[EventRow]] = defaultdict(list)
    for values in looked_up(connection, query, list(session_ids)):
        row = EventRow(*values)
        if row.event_type == "session_end":
            row = replace(row, crashed=is_crash(json.loads(row.data)))
        events[row.session_id].append(row)
    return events
