"""How rows come into the search index and how they leave it. Runs in the writer's thread.

What is in the rows, ranking and embedding are somebody else's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.store.columns import Columns, number_column, text_column
from tracker.store.given import given, given_ids
from tracker.store.search_schema import TABLE_NAMES
from tracker.store.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duckdb import DuckDBPyConnection

_INSERT_VECTORS = """
INSERT INTO search_vectors
SELECT ?, (SELECT coalesce(max(position), 0) FROM search_vectors) + row_number() OVER (),
    text_id, scale, codes
FROM incoming
SEMI JOIN search_texts USING (text_id)
"""
# A text may have been removed while it was embedded, so only those that are still there.


_NONE = 0
"""Stands for the id of no text: such ids have 64 bits, too many for a column with gaps."""


@dataclass(frozen=True, slots=True)
class EventEntry:
    """An event in the index; the time is microseconds since 1970 in UTC."""

    event_id: str
    session_id: str
    text_id: int | None
    timestamp: int
    exit_code: int | None
    failed: bool


@dataclass(frozen=True, slots=True)
class TextEntry:
    """A text in the index.

    Args:
        text_id: made from the text.
        text: the text.
        terms: how often each word occurs, by word.
        length: words in all.
    """

    text_id: int
    text: str
    terms: Mapping[str, int]
    length: int


def store_entries(
    connection: DuckDBPyConnection,
    events: Sequence[EventEntry],
    texts: Sequence[TextEntry],
    term_ids: Mapping[str, int],
) -> None:
    """Add to the index in one transaction.

    Args:
        connection: the writer's.
        events: events that it does not have yet.
        texts: texts that it does not have yet.
        term_ids: the id of each word in them.
    """
    with transaction(connection):
        with given(connection, _event_columns(events), "incoming"):
            connection.execute(
                "INSERT INTO search_events SELECT event_id, session_id,"  # noqa: S608
                f" nullif(text_id, {_NONE}), make_timestamptz(timestamp), exit_code, failed"
                " FROM incoming"
            ).fetchall()
        if not texts:
            return
        with given(connection, _text_columns(texts), "incoming"):
            connection.execute("INSERT INTO search_texts SELECT * FROM incoming").fetchall()
        with given(connection, _posting_columns(texts, term_ids), "incoming"):
            connection.execute("INSERT INTO search_postings SELECT * FROM incoming").fetchall()
        with given(connection, _term_columns(term_ids), "incoming"):
            connection.execute(
                "INSERT INTO search_terms SELECT term_id, term FROM incoming"
                " ANTI JOIN search_terms USING (term_id)"
            ).fetchall()


def store_vectors(
    connection: DuckDBPyConnection,
    model: str,
    text_ids: Sequence[int],
    scales: Sequence[float],
    codes: Sequence[bytes],
) -> None:
    """Add vectors of texts that have none of this model yet."""
    columns = {
        "text_id": number_column(text_ids, "int64"),
        "scale": number_column(scales, "float32"),
        "codes": text_column(codes),
    }
    with transaction(connection), given(connection, columns, "incoming"):
        connection.execute(_INSERT_VECTORS, [model]).fetchall()


def forget_sessions(connection: DuckDBPyConnection, session_ids: Sequence[str]) -> None:
    """Remove all that the index has of these sessions; in the transaction that deletes them."""
    _forget(connection, "session_id", session_ids)


def forget_events(connection: DuckDBPyConnection, event_ids: Sequence[str]) -> None:
    """Remove all that the index has of these events.

    For events that are deleted, and for those whose data was changed: they come back with their
    new text. In the transaction that does so.
    """
    _forget(connection, "event_id", event_ids)


def clear_index(connection: DuckDBPyConnection) -> None:
    """Empty the index, to make it anew."""
    with transaction(connection):
        for name in TABLE_NAMES:
            connection.execute(f"DELETE FROM {name}").fetchall()  # noqa: S608 -- our own names


def _forget(connection: DuckDBPyConnection, column: str, keys: Sequence[str]) -> None:
    with given(connection, {"key": text_column(keys)}, "forgotten"):
        touched = connection.execute(
            f"DELETE FROM search_events WHERE {column} IN (SELECT key FROM forgotten)"  # noqa: S608
            " RETURNING text_id"
        ).fetchall()
    text_ids = sorted({text_id for (text_id,) in touched if text_id is not None})
    with given_ids(connection, text_ids, "touched"):
        orphans = connection.execute(
            "SELECT text_id FROM touched ANTI JOIN search_events USING (text_id)"
        ).fetchall()
    if not orphans:
        return
    with given_ids(connection, [text_id for (text_id,) in orphans], "orphans"):
        for name in ("search_texts", "search_postings", "search_vectors"):
            connection.execute(
                f"DELETE FROM {name} WHERE text_id IN (SELECT text_id FROM orphans)"  # noqa: S608
            ).fetchall()
    # A word that nothing else has may be the very secret that had to go.
    connection.execute(
        "DELETE FROM search_terms WHERE term_id NOT IN (SELECT term_id FROM search_postings)"
    ).fetchall()


def _event_columns(events: Sequence[EventEntry]) -> Columns:
    return {
        "event_id": text_column([event.event_id for event in events]),
        "session_id": text_column([event.session_id for event in events]),
        "text_id": number_column([event.text_id or _NONE for event in events], "int64"),
        "timestamp": number_column([event.timestamp for event in events], "int64"),
        "exit_code": number_column([event.exit_code for event in events], "int32"),
        "failed": number_column([event.failed for event in events], "bool"),
    }


def _text_columns(texts: Sequence[TextEntry]) -> Columns:
    return {
        "text_id": number_column([text.text_id for text in texts], "int64"),
        "text": text_column([text.text for text in texts]),
        "length": number_column([text.length for text in texts], "int32"),
    }


def _posting_columns(texts: Sequence[TextEntry], term_ids: Mapping[str, int]) -> Columns:
    rows = [
        (term_ids[term], text.text_id, occurrences, text.length)
        for text in texts
        for term, occurrences in text.terms.items()
    ]
    names = {"term_id": "int64", "text_id": "int64", "occurrences": "uint16", "length": "uint16"}
    return {
        name: number_column([row[number] for row in rows], kind)
        for number, (name, kind) in enumerate(names.items())
    }


def _term_columns(term_ids: Mapping[str, int]) -> Columns:
    return {
        "term_id": number_column(list(term_ids.values()), "int64"),
        "term": text_column(list(term_ids)),
    }
