"""Everything that was asked for as text, a page at a time: memory does not grow with the answer.

Pages follow each other by cursor, so no reader holds the database while a slow client takes its
time; what arrives meanwhile comes at the end.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import to_json

from tracker.store.queries import oldest_events, oldest_sessions
from tracker.store.records import EVENT_FIELDS, SESSION_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracker.store.database import Database
    from tracker.store.filters import EventFilter, SessionFilter
    from tracker.store.records import Record

Format = Literal["jsonl", "csv"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv")

_PAGE = 5_000


def export_sessions(database: Database, wanted: SessionFilter, form: Format) -> Iterator[bytes]:
    """Sessions, oldest first, as pieces of a file.

    Raises:
        InvalidInput: an unknown status; raised at once, not by the iterator.
    """
    wanted.condition()
    return _lines(
        lambda cursor: oldest_sessions(database, wanted, limit=_PAGE, cursor=cursor),
        SESSION_FIELDS,
        form,
    )


def export_events(database: Database, wanted: EventFilter, form: Format) -> Iterator[bytes]:
    """Events, oldest first, as pieces of a file.

    Raises:
        InvalidInput: an unknown type or status; raised at once, not by the iterator.
    """
    wanted.condition()
    return _lines(
        lambda cursor: oldest_events(database, wanted, limit=_PAGE, cursor=cursor),
        EVENT_FIELDS,
        form,
    )


def _lines(
    page: Callable[[str], tuple[list[Record], str | None]], fields: tuple[str, ...], form: Format
) -> Iterator[bytes]:
    if form == "csv":
        yield _csv([fields])
    cursor: str | None = ""
    while cursor is not None:
        records, cursor = page(cursor)
        if form == "csv":
            yield _csv([[_cell(record[name]) for name in fields] for record in records])
        else:
            yield b"".join(to_json(record) + b"\n" for record in records)


def _csv(rows: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    """A value as a cell: times in ISO 8601, documents as JSON, nothing for none."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
