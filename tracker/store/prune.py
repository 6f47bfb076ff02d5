"""Stored texts, read in pieces and written anew where they changed; what changes is not known here.

A piece goes by id over live and archived rows together, so none is missed when it moves meanwhile.
Writing runs in the writer's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tracker.store.archive_schema import ALL_EVENTS, ALL_SESSIONS
from tracker.store.columns import text_column
from tracker.store.given import given
from tracker.store.ingest import store_property
from tracker.store.search_tables import forget_events
from tracker.store.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from duckdb import DuckDBPyConnection

    from tracker.store.database import Database

PIECE_ROWS = 1_000
PIECE_BYTES = 500_000
"""Of the texts in a piece, about a second of matching; a longer row is read all the same."""

UNFINISHED = "prune_unfinished"
"""The property that says that rows were changed, and the file not yet written anew."""


class Kind(NamedTuple):
    """One kind of rows with texts.

    Args:
        name: what a person calls them.
        key: the column of their id.
        tables: where they are.
        source: all of them, for a FROM clause.
        columns: the texts; ``document`` is the one that holds JSON.
        document: see above.
    """

    name: str
    key: str
    tables: tuple[str, str]
    source: str
    columns: tuple[str, ...]
    document: str


SESSIONS = Kind(
    "sessions",
    "session_id",
    ("sessions", "archived_sessions"),
    ALL_SESSIONS,
    ("user", "host", "cwd", "version", "git_branch", "git_commit", "metadata"),
    "metadata",
)
EVENTS = Kind(
    "events", "event_id", ("session_events", "archived_events"), ALL_EVENTS, ("data",), "data"
)
KINDS = (SESSIONS, EVENTS)


def read_piece(database: Database, kind: Kind, after: str) -> list[tuple[str, ...]]:
    """The next rows by id: the id, then the texts. None: there are no more."""
    columns = ", ".join(_quoted(kind.columns))
    size = " + ".join(f"strlen({column})" for column in _quoted(kind.columns))
    return database.query(
        f"SELECT {kind.key}, {columns} FROM ("  # noqa: S608 -- our own names
        f"SELECT *, sum({size}) OVER (ORDER BY {kind.key}) - ({size}) AS before FROM ("
        f"FROM {kind.source} WHERE {kind.key} > ? ORDER BY {kind.key} LIMIT {PIECE_ROWS})"
        f") WHERE before < {PIECE_BYTES} ORDER BY {kind.key}",
        [after],
    )


def count_rows(database: Database) -> int:
    """How many rows there are to look at."""
    tables = [table for kind in KINDS for table in kind.tables]
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in tables)  # noqa: S608
    return int(database.query(f"SELECT {counts}")[0][0])


def is_unfinished(database: Database) -> bool:
    """Whether the file may still hold texts that were changed."""
    return bool(database.query("SELECT 1 FROM properties WHERE name = ?", [UNFINISHED]))


def rewrite(
    connection: DuckDBPyConnection,
    kind: Kind,
    changed: Mapping[str, Sequence[str]],
    note: Callable[[], object],
) -> None:
    """Write texts anew, and take out of the search index what was made from the old ones.

    Args:
        connection: the writer's.
        kind: of which rows.
        changed: the new texts by id, in the order of the kind's columns.
        note: called before it is done; if it fails, nothing is changed.
    """
    columns = {"key": text_column(list(changed))} | {
        f"new_{name}": text_column([texts[number] for texts in changed.values()])
        for number, name in enumerate(kind.columns)
    }
    assignments = ", ".join(f'"{name}" = incoming."new_{name}"' for name in kind.columns)
    with transaction(connection):
        with given(connection, columns, "incoming"):
            for table in kind.tables:
                connection.execute(
                    f"UPDATE {table} SET {assignments} FROM incoming"  # noqa: S608 -- our own names
                    f" WHERE {table}.{kind.key} = incoming.key"
                ).fetchall()
            indexed = _events_indexed_from(connection, kind)
        forget_events(connection, indexed)
        store_property(connection, UNFINISHED, "yes")
        note()


def finished(connection: DuckDBPyConnection) -> None:
    """The file was written anew."""
    connection.execute("DELETE FROM properties WHERE name = ?", [UNFINISHED]).fetchall()


def _events_indexed_from(connection: DuckDBPyConnection, kind: Kind) -> list[str]:
    """The events whose entries in the search index were made from these rows."""
    start = "" if kind is EVENTS else " AND event_type = 'session_start'"
    rows = connection.execute(
        f"SELECT event_id FROM {ALL_EVENTS} WHERE {kind.key}"  # noqa: S608 -- our own names
        f" IN (SELECT key FROM incoming){start}"
    ).fetchall()
    return [event_id for (event_id,) in rows]


def _quoted(columns: Sequence[str]) -> list[str]:
    return [f'"{column}"' for column in columns]
