"""What every writer to the store needs: all or nothing, lookups on the index, checkpoints."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

LOOKUP = 256
"""Keys in one lookup. DuckDB answers up to 2,048 from the index; beyond, it reads the table."""


_READERS_END = 10.0
"""Seconds in which readers come to an end."""

_BETWEEN = 0.005


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


def checkpoint(connection: DuckDBPyConnection, statement: str = "CHECKPOINT") -> None:
    """Take the log into the file.

    While somebody reads, DuckDB may refuse and speak of other write transactions; that is over in
    milliseconds.

    Args:
        connection: the writer's.
        statement: names another database than the one in use.
    """
    import duckdb

    deadline = time.monotonic() + _READERS_END
    while True:
        try:
            connection.execute(statement).fetchall()
        except duckdb.TransactionException as error:
            if "other write transactions" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_BETWEEN)
        else:
            return


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
