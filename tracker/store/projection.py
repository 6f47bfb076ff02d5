"""Sessions as their events make them: rows of ``sessions`` and the totals of the metrics.

The events are what happened; everything here can be made from them again, and is, after a crash.
Runs in the writer's thread. Knows nothing of requests.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tracker.store.columns import (
    Columns,
    facts_columns,
    insert,
    number_column,
    state_columns,
    text_column,
)
from tracker.store.rows import EventRow, facts_in, is_crash
from tracker.store.states import SessionState, advance, gains, losses, started
from tracker.store.transactions import looked_up, transaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duckdb import DuckDBPyConnection

_STATE = (
    "session_id, component, session_type, epoch_us(start_time), status, epoch_us(end_time),"
    " duration_seconds, exit_code, command_count, error_count, event_count, epoch_us(last_seen)"
)

_INSERT = """
INSERT INTO sessions (
    session_id, component, session_type, start_time, created_at, metadata, user, host, cwd, pid,
    version, git_branch, git_commit, git_dirty, author_kind, run_id,
    status, end_time, duration_seconds, exit_code, command_count, error_count, event_count,
    last_seen)
SELECT session_id, component, session_type, make_timestamptz(start_time),
    make_timestamptz(created_at), metadata, user, host, cwd, pid, version, git_branch, git_commit,
    git_dirty, author_kind, run_id, status, make_timestamptz(end_time::BIGINT), duration_seconds,
    exit_code, command_count, error_count, event_count, make_timestamptz(last_seen)
FROM incoming
"""

# By rowid, which does not change within a transaction: a join on session_id would read that column
# of the whole table (18 ms at a million sessions, instead of 2).
_UPDATE = """
UPDATE sessions SET
    status = incoming.status, end_time = make_timestamptz(incoming.end_time::BIGINT),
    duration_seconds = incoming.duration_seconds, exit_code = incoming.exit_code,
    command_count = incoming.command_count, error_count = incoming.error_count,
    event_count = incoming.event_count, last_seen = make_timestamptz(incoming.last_seen)
FROM incoming WHERE sessions.rowid = incoming.row
"""

_ADD_TOTALS = """
INSERT INTO metric_totals SELECT metric, label, value FROM incoming
ON CONFLICT (metric, label) DO UPDATE SET value = metric_totals.value + excluded.value
"""

# A session whose start has come and that has no row, or a row that does not count all its events.
_BEHIND = """
SELECT session_id FROM (
    SELECT session_id, count(*) AS events, bool_or(event_type = 'session_start') AS started
    FROM session_events GROUP BY session_id
) LEFT JOIN sessions USING (session_id)
WHERE event_count <> events OR (event_count IS NULL AND started)
"""

_UNCOUNTED_GAPS = """
SELECT event_id, session_id, event_type, epoch_us(timestamp), epoch_us(received_at), sequence,
    duration_seconds, exit_code, data
FROM session_events ANTI JOIN counted_gaps USING (event_id) WHERE event_type = 'gap'
"""

_AT_ONCE = 1_000
"""Sessions that are made anew in one transaction."""


Project = Callable[["DuckDBPyConnection", Mapping[str, Sequence[EventRow]], Collection[str]], None]
"""What brings sessions forward; see ``project``."""


def project(
    connection: DuckDBPyConnection,
    by_session: Mapping[str, Sequence[EventRow]],
    unheard: Collection[str],
) -> None:
    """Bring sessions forward by events that are stored already, in one transaction.

    Args:
        connection: the writer's.
        by_session: the events, in the order in which they arrived.
        unheard: sessions of which nothing was stored before these events.
    """
    with transaction(connection):
        known = _known(connection, [key for key in by_session if key not in unheard])
        late = [
            key
            for key, events in by_session.items()
            if key not in unheard and key not in known and _start_of(events)
        ]
        new = {key: by_session[key] for key in unheard if key in by_session}
        new |= _stored_events(connection, late) if late else {}
        totals: dict[tuple[str, str], float] = defaultdict(float)
        for session_id, (_, state) in known.items():
            was_final = state.final
            advance(state, by_session[session_id])
            _add(totals, gains(state, new=False, was_final=was_final))
        created = _write(connection, known, new, totals)
        gaps = [row for events in by_session.values() for row in events if row.event_type == "gap"]
        if gaps:
            _count_gaps(connection, gaps, [*(state for _, state in known.values()), *created])


def project_again(connection: DuckDBPyConnection) -> int:
    """Make every session anew that does not tell what its events tell; how many there were.

    After a crash those are the sessions whose events were acknowledged last.
    """
    behind = [session_id for (session_id,) in connection.execute(_BEHIND).fetchall()]
    for begin in range(0, len(behind), _AT_ONCE):
        _make_anew(connection, behind[begin : begin + _AT_ONCE])
    _count_gaps_again(connection)
    return len(behind)


def add_totals(connection: DuckDBPyConnection, totals: Mapping[tuple[str, str], float]) -> None:
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
    insert(connection, _ADD_TOTALS, columns)


def _make_anew(connection: DuckDBPyConnection, session_ids: Sequence[str]) -> None:
    with transaction(connection):
        known = _known(connection, session_ids)
        stored = _stored_events(connection, session_ids)
        totals: dict[tuple[str, str], float] = defaultdict(float)
        for session_id, (row, state) in known.items():
            fresh = SessionState(session_id, state.component, state.session_type, state.start_time)
            advance(fresh, stored[session_id])
            _add(totals, gains(fresh, new=False, was_final=state.final))
            known[session_id] = row, fresh
        new = {key: events for key, events in stored.items() if key not in known}
        _write(connection, known, new, totals)


def _write(
    connection: DuckDBPyConnection,
    known: Mapping[str, tuple[int, SessionState]],
    new: Mapping[str, Sequence[EventRow]],
    totals: dict[tuple[str, str], float],
) -> list[SessionState]:
    """Store sessions and what the totals gain; gives the sessions that have a row only now."""
    starts = [start for events in new.values() if (start := _start_of(events)) is not None]
    created = [started(start) for start in starts]
    for state in created:
        advance(state, new[state.session_id])
        _add(totals, gains(state, new=True, was_final=False))
    if known:
        columns: Columns = state_columns([state for _, state in known.values()])
        columns["row"] = number_column([row for row, _ in known.values()], "int64")
        insert(connection, _UPDATE, columns)
    if created:
        insert(connection, _INSERT, state_columns(created) | facts_columns(starts))
    if totals:
        add_totals(connection, totals)
    return created


def _count_gaps_again(connection: DuckDBPyConnection) -> None:
    """Count the gaps that were stored before a crash and counted never."""
    with transaction(connection):
        gaps = [EventRow(*values) for values in connection.execute(_UNCOUNTED_GAPS).fetchall()]
        if gaps:
            known = _known(connection, sorted({row.session_id for row in gaps}))
            _count_gaps(connection, gaps, [state for _, state in known.values()])


def _count_gaps(
    connection: DuckDBPyConnection, gaps: Sequence[EventRow], states: Collection[SessionState]
) -> None:
    """Add what these gaps tell of to the total, and remember in the same transaction that it is."""
    totals: dict[tuple[str, str], float] = defaultdict(float)
    _add(totals, losses(gaps, states))
    if totals:
        add_totals(connection, totals)
    columns = {"event_id": text_column([row.event_id for row in gaps])}
    insert(connection, "INSERT OR IGNORE INTO counted_gaps SELECT event_id FROM incoming", columns)


def _start_of(events: Iterable[EventRow]) -> EventRow | None:
    return next((event for event in events if event.facts is not None), None)


def _add(totals: dict[tuple[str, str], float], gained: Iterable[tuple[str, str, float]]) -> None:
    for metric, label, value in gained:
        totals[metric, label] += value


def _known(
    connection: DuckDBPyConnection, session_ids: Sequence[str]
) -> dict[str, tuple[int, SessionState]]:
    """The sessions among these that have a row, each with the number of its row."""
    query = f"SELECT rowid, {_STATE} FROM sessions WHERE session_id IN ({{marks}})"  # noqa: S608
    return {
        values[0]: (row, SessionState(*values))
        for row, *values in looked_up(connection, query, session_ids)
    }


def _stored_events(
    connection: DuckDBPyConnection, session_ids: Iterable[str]
) -> dict[str, list[EventRow]]:
    """Every stored event of these sessions, in the order in which they arrived."""
    query = (
        "SELECT event_id, session_id, event_type, epoch_us(timestamp), epoch_us(received_at),"
        " sequence, duration_seconds, exit_code, data FROM session_events"
        " WHERE session_id IN ({marks}) ORDER BY received_at, timestamp, sequence"
    )
    events: dict[str, list[EventRow]] = defaultdict(list)
    for values in looked_up(connection, query, list(session_ids)):
        events[values[1]].append(_as_it_came(EventRow(*values)))
    return events


def _as_it_came(row: EventRow) -> EventRow:
    if row.event_type == "session_end":
        return replace(row, crashed=is_crash(json.loads(row.data)))
    if row.event_type == "session_start":
        return replace(row, facts=facts_in(row.data))
    return row
