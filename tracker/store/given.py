"""Keys that a query is given as a table: for thousands of them, where marks would be too many."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from duckdb import DuckDBPyConnection

    from tracker.store.columns import Columns


@contextmanager
def given(connection: DuckDBPyConnection, columns: Columns, name: str = "given") -> Iterator[None]:
    """Columns go by a name while the block runs."""
    import duckdb

    connection.register(name, columns)
    try:
        yield
    except BaseException:
        # In a transaction that failed nothing can be done but to roll back, which removes it too.
        with suppress(duckdb.TransactionException):
            connection.unregister(name)
        raise
    connection.unregister(name)


@contextmanager
def given_ids(
    connection: DuckDBPyConnection, text_ids: Collection[int], name: str = "given"
) -> Iterator[None]:
    """Ids of texts as the column ``text_id`` of a table that goes by a name."""
    column = np.fromiter(text_ids, np.int64, len(text_ids))
    with given(connection, {"text_id": column}, name):
        yield
