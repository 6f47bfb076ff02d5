"""What the metrics count, read from the store. Knows no metric's name outside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from schemas.session import STATUSES
from tracker.store.states import UNCOUNTED_TYPE

if TYPE_CHECKING:
    from tracker.store.database import Database
    from tracker.store.work import WriterStatistics
    from tracker.store.writer import Writer

LAST_BACKUP = "last_backup"
"""The property that holds the time of the newest backup."""

LAST_VERIFIED_BACKUP = "last_verified_backup"
"""The property that holds when the newest backup was proven to be whole."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What the metrics count.

    Args:
        by_status: sessions in each status, without those of the project's own checks.
        stored: totals that only ever grow, by metric and label; see ``tracker.store.states``.
        ingest: what the writer did since it started.
        waiting_bytes: memory that waiting events take, about.
        database_bytes: of the file and its log.
        last_backup: when the newest backup was taken, if there is one.
        last_verified_backup: when the newest backup was proven to be whole.
    """

    by_status: dict[str, int]
    stored: dict[tuple[str, str], float]
    ingest: WriterStatistics
    waiting_bytes: int
    database_bytes: int
    last_backup: datetime | None
    last_verified_backup: datetime | None


def read_totals(database: Database, writer: Writer) -> Totals:
    """The totals as they are now."""
    return Totals(
        by_status=_status_counts(database),
        stored=_stored_totals(database),
        ingest=writer.statistics,
        waiting_bytes=writer.waiting_bytes,
        database_bytes=database.size(),
        last_backup=_stored_moment(database, LAST_BACKUP),
        last_verified_backup=_stored_moment(database, LAST_VERIFIED_BACKUP),
    )


def _status_counts(database: Database) -> dict[str, int]:
    rows = database.query(
        "SELECT status, count(*) FROM sessions WHERE session_type <> ? GROUP BY status",
        [UNCOUNTED_TYPE],
    )
    return dict.fromkeys(STATUSES, 0) | {str(status): int(count) for status, count in rows}


def _stored_totals(database: Database) -> dict[tuple[str, str], float]:
    rows = database.query("SELECT metric, label, value FROM metric_totals ORDER BY metric, label")
    return {(metric, label): value for metric, label, value in rows}


def _stored_moment(database: Database, name: str) -> datetime | None:
    rows = database.query("SELECT value FROM properties WHERE name = ?", [name])
    return datetime.fromisoformat(str(rows[0][0])) if rows else None
