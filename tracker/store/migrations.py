"""How the schema of the database came to be, step by step; knows SQL and nothing of sessions' life.

A migration only adds: an older release, down to the step's ``min_reader``, can still work with the
file. Each runs in a transaction of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput
from tracker.store import archive_schema, search_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

_RECORD = """
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    min_reader TEXT NOT NULL,   -- the lowest release that can work with the file after this step
    release TEXT NOT NULL,      -- the release that made this step
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
"""

# The columns of the guide (9.3), and after them what it lacks. REAL is four bytes in DuckDB, which
# is too coarse for the seconds of a long session, so durations are DOUBLE.
_SESSIONS = """
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    component TEXT NOT NULL,
    session_type TEXT NOT NULL,
    start_time TIMESTAMPTZ NOT NULL,
    end_time TIMESTAMPTZ,
    duration_seconds DOUBLE,
    command_count BIGINT NOT NULL DEFAULT 0,
    metadata TEXT NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    status TEXT NOT NULL,
    exit_code INTEGER,
    error_count BIGINT NOT NULL DEFAULT 0,
    event_count BIGINT NOT NULL DEFAULT 0,
    user TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',
    cwd TEXT NOT NULL DEFAULT '',
    pid INTEGER,
    version TEXT NOT NULL DEFAULT '',
    git_branch TEXT NOT NULL DEFAULT '',
    git_commit TEXT NOT NULL DEFAULT '',
    git_dirty BOOLEAN,
    author_kind TEXT NOT NULL DEFAULT 'person',
    run_id TEXT,
    last_seen TIMESTAMPTZ NOT NULL
)
"""

# No foreign key to sessions, although the guide has one: DuckDB checks it at once, so deleting a
# session and its events in one transaction fails; and events may arrive before the start of their
# session, when no row exists yet. `session-buddy db check` looks for orphans instead.
_EVENTS = """
CREATE TABLE session_events (
    event_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    timestamp TIMESTAMPTZ NOT NULL,
    data TEXT NOT NULL DEFAULT '{}',
    received_at TIMESTAMPTZ NOT NULL,
    sequence BIGINT NOT NULL DEFAULT 0,
    duration_seconds DOUBLE,
    exit_code INTEGER
)
"""

# Counters that only ever grow. Counting rows instead would make them fall when sessions are
# archived or deleted, and Prometheus would read that as a restart.
_TOTALS = """
CREATE TABLE metric_totals (
    metric TEXT NOT NULL,
    label TEXT NOT NULL,
    value DOUBLE NOT NULL,
    PRIMARY KEY (metric, label)
)
"""

# A gap tells of events that its sender had to drop. After a crash nothing else tells which gaps
# the total of lost events contains already; there are few.
_COUNTED_GAPS = (
    "CREATE TABLE counted_gaps (event_id TEXT PRIMARY KEY)",
    "INSERT INTO counted_gaps SELECT event_id FROM session_events WHERE event_type = 'gap'",
)

_PROPERTIES = "CREATE TABLE properties (name TEXT PRIMARY KEY, value TEXT NOT NULL)"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema.

    Args:
        version: its number; the first is 1 and there are no gaps.
        name: what it adds, in a few words.
        min_reader: the lowest release that can work with the file afterwards.
        statements: the SQL, in order.
    """

    version: int
    name: str
    min_reader: str
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        version=1,
        name="sessions, their events, and the totals of the metrics",
        min_reader="0.1.0",
        statements=(
            _SESSIONS,
            "CREATE INDEX idx_sessions_start_time ON sessions (start_time)",
            _EVENTS,
            "CREATE INDEX idx_session_events_session_id ON session_events (session_id)",
            _TOTALS,
            _PROPERTIES,
        ),
    ),
    Migration(
        version=2,
        name="an archive for old sessions, and what was deleted",
        min_reader="0.1.0",
        statements=archive_schema.TABLES,
    ),
    Migration(
        version=3,
        name="the search index",
        min_reader="0.1.0",
        statements=search_schema.TABLES,
    ),
    Migration(
        version=4,
        name="which gaps the total of lost events contains",
        min_reader="0.1.0",
        statements=_COUNTED_GAPS,
    ),
)


@dataclass(frozen=True, slots=True)
class StoredSchema:
    """What a database file says of its own schema; version 0 is an empty file."""

    version: int
    min_reader: str


def stored_schema(connection: DuckDBPyConnection) -> StoredSchema:
    """The schema of the file that this connection uses."""
    known = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE table_name = 'schema_migrations'"
        " AND database_name = current_database()"
    ).fetchall()
    if not known:
        return StoredSchema(0, "")
    rows = connection.execute(
        "SELECT version, min_reader FROM schema_migrations ORDER BY version DESC LIMIT 1"
    ).fetchall()
    return StoredSchema(*rows[0]) if rows else StoredSchema(0, "")


def migrate(
    connection: DuckDBPyConnection,
    *,
    path: Path,
    release: str,
    migrations: Sequence[Migration] = MIGRATIONS,
    before: Callable[[StoredSchema], object] | None = None,
) -> StoredSchema:
    """Bring the schema up to date.

    Args:
        connection: the only one that is open on the file.
        path: the file, for messages.
        release: the version of this code.
        migrations: every step, oldest first.
        before: called once before the first step on a file that has a schema already; makes the
            backup, and no step is taken if it raises.

    Returns:
        The schema as it is now.

    Raises:
        InvalidInput: the file is from a newer release that this one cannot work with.
    """
    stored = stored_schema(connection)
    newest = migrations[-1].version
    if stored.version > newest:
        if version_key(release) < version_key(stored.min_reader):
            raise InvalidInput(
                f"the database has schema {stored.version}, this release ({release}) knows"
                f" schema {newest}; release {stored.min_reader} or newer can read it",
                where=str(path),
                hint="start that release, or restore the backup made before the upgrade",
            )
        return stored
    missing = [step for step in migrations if step.version > stored.version]
    if missing and stored.version and before is not None:
        before(stored)
    for step in missing:
        _apply(connection, step, release)
    return stored_schema(connection)


def _apply(connection: DuckDBPyConnection, step: Migration, release: str) -> None:
    connection.execute("BEGIN")
    try:
        if step.version == 1:
            connection.execute(_RECORD)
        for statement in step.statements:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migrations (version, name, min_reader, release)"
            " VALUES (?, ?, ?, ?)",
            [step.version, step.name, step.min_reader, release],
        )
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def version_key(version: str) -> tuple[int, ...]:
    """The numbers of a version, to compare by: ``0.10.2`` gives ``(0, 10, 2)``."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
