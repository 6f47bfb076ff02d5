"""Whether what is stored fits together. Reads only, everything, at one moment.

Works on a database of any schema that this project has had, also on a copy that no server owns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.session import STATUSES
from schemas.store import Finding
from tracker.store.states import FINAL, SESSIONS, UNCOUNTED_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

_SHOWN = 3
"""Rows of each kind that are named."""

_EVENT_COUNTS = """
    SELECT session_id, count(*) AS events, count(*) FILTER (event_type = 'command') AS commands,
        count(*) FILTER (event_type = 'error'
            OR (event_type IN ('command', 'step') AND exit_code <> 0)) AS errors
    FROM {events} GROUP BY session_id"""


@dataclass(frozen=True, slots=True)
class _Check:
    """One thing to check.

    Args:
        name: what is as it should be, in a few words.
        problem: what is wrong otherwise; ``{count}`` is how often.
        hint: what to do then.
        tables: without them there is nothing to check.
        wrong: SQL whose rows are what is wrong, each with a name in its first column.
    """

    name: str
    problem: str
    hint: str
    tables: frozenset[str]
    wrong: str


_RESTORE = "restore a backup: invoke restore --backup latest"
_DELETE = "remove it with: session-buddy delete-session ID; or restore a backup"


def check_database(connection: DuckDBPyConnection) -> list[Finding]:
    """Look at everything that is stored.

    Args:
        connection: uses the database, and nobody else uses the connection.
    """
    connection.execute("BEGIN TRANSACTION READ ONLY")
    try:
        tables = _tables(connection)
        readable = _readable(connection, tables)
        if not readable.ok:
            return [readable]
        return [readable, *(_carried_out(connection, check) for check in _checks(tables))]
    finally:
        connection.execute("ROLLBACK")


def _tables(connection: DuckDBPyConnection) -> set[str]:
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()
    return {name for (name,) in rows}


def _readable(connection: DuckDBPyConnection, tables: set[str]) -> Finding:
    import duckdb

    name = "every block can be read"
    for table in sorted(tables):
        try:
            # A hash over whole rows makes DuckDB check each block's checksum.
            connection.execute(f'SELECT bit_xor(hash(t)) FROM "{table}" t').fetchall()  # noqa: S608
        except duckdb.Error as error:
            problem = f"{table}: {str(error).splitlines()[0]}"
            return Finding(check=name, ok=False, problem=problem, examples=[table], hint=_RESTORE)
    return Finding(check=name, ok=True)


def _carried_out(connection: DuckDBPyConnection, check: _Check) -> Finding:
    rows = connection.execute(
        f"SELECT *, count(*) OVER () FROM ({check.wrong}) LIMIT {_SHOWN}"  # noqa: S608 -- our own
    ).fetchall()
    if not rows:
        return Finding(check=check.name, ok=True)
    return Finding(
        check=check.name,
        ok=False,
        problem=check.problem.format(count=rows[0][-1]),
        examples=[str(row[0]) for row in rows],
        hint=check.hint,
    )


def _checks(tables: set[str]) -> Iterator[_Check]:
    for check in (*_of_ids(), *_of_live_and_archive(), _totals()):
        if check.tables <= tables:
            yield check


def _of_ids() -> Iterator[_Check]:
    for what, live, archived in (
        ("session", "sessions", "archived_sessions"),
        ("event", "session_events", "archived_events"),
    ):
        column = f"{what}_id"
        yield _Check(
            name=f"every {what} is stored once",
            problem=f"{{count}} {what}s are stored more than once",
            hint=_RESTORE,
            tables=frozenset({live, archived}),
            wrong=f"SELECT {column} FROM (SELECT {column} FROM {live} UNION ALL"  # noqa: S608
            f" SELECT {column} FROM {archived}) GROUP BY {column} HAVING count(*) > 1",
        )


def _of_live_and_archive() -> Iterator[_Check]:
    yield from _of_tables("sessions", "session_events", "", "received_at < now() - INTERVAL 1 DAY")
    yield from _of_tables("archived_sessions", "archived_events", " in the archive", "TRUE")


def _of_tables(sessions: str, events: str, where: str, settled: str) -> Iterator[_Check]:
    tables = frozenset({sessions, events})
    yield _Check(
        # An event may come before the start of its session, but not by a day.
        name=f"every event{where} has its session",
        problem="{count} sessions have events and no start",
        hint=_DELETE,
        tables=tables,
        wrong=f"SELECT DISTINCT session_id FROM {events} ANTI JOIN {sessions}"  # noqa: S608
        f" USING (session_id) WHERE {settled}",
    )
    counts = _EVENT_COUNTS.format(events=events)
    yield _Check(
        name=f"the counts of every session{where} fit its events",
        problem="{count} sessions have other events than they count",
        # After a crash they may lag behind until the tracker starts.
        hint=f"start the tracker, which counts anew after a crash; or else {_RESTORE}",
        tables=tables,
        wrong=f"SELECT session_id FROM {sessions} LEFT JOIN ({counts}) USING (session_id)"  # noqa: S608
        " WHERE (event_count, command_count, error_count)"
        " <> (coalesce(events, 0), coalesce(commands, 0), coalesce(errors, 0))",
    )
    final, known = _listed(FINAL), _listed(STATUSES)
    yield _Check(
        name=f"the state of every session{where} is possible",
        problem="{count} sessions have an unknown status, or an end that does not fit it",
        hint=_RESTORE,
        tables=tables,
        wrong=f"SELECT session_id FROM {sessions} WHERE status NOT IN ({known})"  # noqa: S608
        f" OR (status IN ({final})) <> (end_time IS NOT NULL) OR duration_seconds < 0",
    )
    yield _Check(
        name=f"all data{where} is JSON",
        problem="{count} rows have data that is not JSON",
        hint=_DELETE,
        tables=tables,
        wrong=f"SELECT session_id FROM {sessions} WHERE NOT json_valid(metadata) UNION ALL"  # noqa: S608
        f" SELECT session_id FROM {events} WHERE NOT json_valid(data)",
    )


def _totals() -> _Check:
    return _Check(
        name="the totals of the metrics cover what is stored",
        problem="{count} totals are lower than what is stored, or no number",
        hint=_RESTORE,
        tables=frozenset({"sessions", "metric_totals"}),
        wrong="SELECT metric || ' ' || label FROM metric_totals WHERE NOT value >= 0"  # noqa: S608
        " UNION ALL"
        f" SELECT component FROM sessions WHERE session_type <> '{UNCOUNTED_TYPE}'"
        " GROUP BY component HAVING count(*) > (SELECT coalesce(max(value), 0) FROM metric_totals"
        f" WHERE metric = '{SESSIONS}' AND label = component)",
    )


def _listed(words: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))
