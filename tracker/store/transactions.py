"""What every writer to the store needs: all or nothing, and lookups that stay on the index."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

LOOKUP = 256
"""Keys in one lookup. DuckDB answers up to 2,048 from the index; beyond, it reads the table."""


@contextmanager
def transaction(connection: DuckDBPyConnection) -> Iterator[None]:
    """All or nothing of what the block does."""
    import duckdb

    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A COMMIT that failed, on a full disk for one, has rolled back already.
        with suppress(duckdb.TransactionException):
            connection.execute("ROLLBACK")
        connection.unregister("incoming")
        raise


def looked_up(
    connection: DuckDBPyConnection, query: str, keys: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query for many keys.

    Args:
        connection: where to look.
        query: has ``{marks}`` where the parameters go, once or more often.
        keys: the parameters, however many.
    """
    for begin in range(0, len(keys), LOOKUP):
        part = keys[begin : begin + LOOKUP]
        marks = ", ".join(f"${number}" for number in range(1, len(part) + 1))
        yield from connection.execute(query.format(marks=marks), part).fetchall()
