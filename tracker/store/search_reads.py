"""What the search index has and what it lacks. Reads only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.session import SessionFacts
from tracker.store.archive_schema import ALL_EVENTS, ALL_SESSIONS
from tracker.store.columns import text_column
from tracker.store.given import given, given_ids
from tracker.store.rows import EventRow, is_crash

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from tracker.store.database import Database

_FACTS = ("component", "session_type", "user", "host", "cwd", "git_branch", "run_id")

_SEARCHED = "event_type <> 'checkpoint'"

_UNINDEXED = f"""
SELECT events.event_id, events.session_id, event_type, epoch_us(events.timestamp),
    epoch_us(received_at), events.exit_code, data, sessions.metadata, {", ".join(_FACTS)}
FROM (
    SELECT * FROM {ALL_EVENTS} ANTI JOIN search_events USING (event_id)
    WHERE {_SEARCHED} LIMIT ?
) AS events
LEFT JOIN {ALL_SESSIONS} AS sessions USING (session_id)
"""  # noqa: S608 -- our own names


@dataclass(frozen=True, slots=True)
class IndexCounts:
    """How much there is to search, and how much of it the index has."""

    events: int
    indexed: int
    texts: int
    embedded: int


@dataclass(frozen=True, slots=True)
class VectorRows:
    """Vectors as they are stored, a row each."""

    positions: NDArray[np.int64]
    text_ids: NDArray[np.int64]
    scales: NDArray[np.float32]
    codes: list[bytes]


def index_counts(database: Database, model: str) -> IndexCounts:
    """How far the index has come, with the vectors of one model."""
    counts = database.query(
        f"SELECT (SELECT count(*) FROM session_events WHERE {_SEARCHED})"  # noqa: S608
        f" + (SELECT count(*) FROM archived_events WHERE {_SEARCHED}),"
        " (SELECT count(*) FROM search_events), (SELECT count(*) FROM search_texts),"
        " (SELECT count(*) FROM search_vectors WHERE model = ?)",
        [model],
        settled=False,
    )
    return IndexCounts(*counts[0])


def unindexed_events(database: Database, limit: int) -> list[EventRow]:
    """Events that the index does not have, as they came in."""
    return [_event_row(*row) for row in database.query(_UNINDEXED, [limit])]


def known_texts(database: Database, text_ids: Collection[int]) -> set[int]:
    """Which of these texts the index has."""
    with database.reading(settled=False) as connection, given_ids(connection, text_ids):
        rows = connection.execute(
            "SELECT text_id FROM given SEMI JOIN search_texts USING (text_id)"
        ).fetchall()
    return {text_id for (text_id,) in rows}


def known_events(database: Database, event_ids: Sequence[str]) -> set[str]:
    """Which of these events the index has."""
    with (
        database.reading(settled=False) as connection,
        given(connection, {"event_id": text_column(event_ids)}),
    ):
        rows = connection.execute(
            "SELECT event_id FROM given SEMI JOIN search_events USING (event_id)"
        ).fetchall()
    return {event_id for (event_id,) in rows}


def unembedded_texts(database: Database, model: str, limit: int) -> list[tuple[int, str]]:
    """Texts that have no vector of this model, newest first."""
    rows = database.query(
        "SELECT text_id, text FROM search_texts ANTI JOIN"
        " (SELECT text_id FROM search_vectors WHERE model = ?) USING (text_id)"
        " ORDER BY search_texts.rowid DESC LIMIT ?",
        [model, limit],
        settled=False,
    )
    return [(text_id, text) for text_id, text in rows]


def newest_vector(database: Database) -> int:
    """The position of the vector that was stored last; 0: there is none."""
    return int(
        database.query("SELECT coalesce(max(position), 0) FROM search_vectors", settled=False)[0][0]
    )


def vectors_between(database: Database, model: str, after: int, until: int) -> VectorRows:
    """Vectors of a model in the order of their positions.

    By a range, since DuckDB skips what is outside of one; an order and a limit take five times as
    long.

    Args:
        database: where to look.
        model: the model.
        after: the position before the first.
        until: the last position.
    """
    with database.reading(settled=False) as connection:
        found = connection.execute(
            "SELECT position, text_id, scale, codes FROM search_vectors"
            " WHERE position > ? AND position <= ? AND model = ?",
            [after, until, model],
        ).fetchnumpy()
    order = np.argsort(found["position"])
    positions, text_ids, scales, codes = (
        found[name][order] for name in ("position", "text_id", "scale", "codes")
    )
    return VectorRows(positions, text_ids, scales, list(codes))


def _event_row(
    event_id: str,
    session_id: str,
    event_type: str,
    timestamp: int,
    received_at: int,
    exit_code: int | None,
    data: str,
    metadata: str | None,
    *facts: str | None,
) -> EventRow:
    known: dict[str, Any] = dict(zip(_FACTS, facts, strict=True))
    start = event_type == "session_start" and metadata is not None
    if metadata is not None:
        known["metadata"] = json.loads(metadata)
    return EventRow(
        event_id=event_id,
        session_id=session_id,
        event_type=event_type,
        timestamp=timestamp,
        received_at=received_at,
        exit_code=exit_code,
        data=data,
        crashed=event_type == "session_end" and is_crash(json.loads(data)),
        facts=SessionFacts.model_construct(**known) if start else None,
    )
