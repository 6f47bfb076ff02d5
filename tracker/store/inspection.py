"""What is in the database file and how much room it takes. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.store import IndexFacts, Inspection, TableFacts
from tracker.store.migrations import stored_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tracker.store.database import Database

_COLUMNS = """
SELECT index_name, duckdb_indexes.table_name, expressions FROM duckdb_indexes()
WHERE database_name = current_database()
UNION ALL
SELECT coalesce(constraint_name, 'primary key'), table_name, constraint_column_names::TEXT
FROM duckdb_constraints()
WHERE database_name = current_database() AND constraint_type = 'PRIMARY KEY'
ORDER BY ALL
"""


def inspect(database: Database) -> Inspection:
    """The file, its tables with rows and sizes, its indexes."""
    import duckdb

    with database.reading() as connection:
        schema = stored_schema(connection)
        block, free, storage = connection.execute(
            "SELECT block_size, free_blocks, tags['storage_version'] FROM pragma_database_size()"
            " JOIN duckdb_databases() USING (database_name)"
            " WHERE database_name = current_database()"
        ).fetchall()[0]
        return Inspection(
            path=str(database.path),
            size=database.path.stat().st_size,
            log_size=database.size() - database.path.stat().st_size,
            free=free * block,
            schema_version=schema.version,
            min_reader=schema.min_reader,
            duckdb_version=duckdb.__version__,
            storage_version=str(storage),
            tables=_tables(connection, block),
            indexes=_indexes(connection),
        )


def _tables(connection: DuckDBPyConnection, block: int) -> list[TableFacts]:
    tables = connection.execute(
        "SELECT table_name, column_count FROM duckdb_tables()"
        " WHERE database_name = current_database() ORDER BY table_name"
    ).fetchall()
    return [
        TableFacts(
            name=name,
            columns=columns,
            rows=_number(connection, f'SELECT count(*) FROM "{name}"'),  # noqa: S608 -- its own name
            size=block
            * _number(
                connection,
                "SELECT count(DISTINCT block_id) FROM"  # noqa: S608 -- its own name
                f" pragma_storage_info('{name}') WHERE persistent AND block_id >= 0",
            ),
        )
        for name, columns in tables
    ]


def _indexes(connection: DuckDBPyConnection) -> list[IndexFacts]:
    rows = connection.execute(_COLUMNS).fetchall()
    return [
        IndexFacts(name=name, table=table, columns=columns.strip("[]").split(", "))
        for name, table, columns in rows
    ]


def _number(connection: DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])
