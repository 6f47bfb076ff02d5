"""Which runs may be forgotten. Pure: deletes nothing, reads nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orchestrator.engine.resume import past_of
from schemas.run import ALIVE, RESUMABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.run import JournalEntry, RunRecord


def beyond(
    records: Sequence[RunRecord], now: datetime, *, keep_days: int | None, keep_last: int | None
) -> list[RunRecord]:
    """Runs that are neither among the newest nor young enough.

    Args:
        records: newest first.
        now: what days count back from.
        keep_days: younger ones are kept; None: age keeps none.
        keep_last: so many of each runbook are kept; None: number keeps none.
    """
    found, seen = [], dict[str, int]()
    for record in records:
        seen[record.runbook] = seen.get(record.runbook, 0) + 1
        young = keep_days is not None and _is_after(record, now - timedelta(days=keep_days))
        newest = keep_last is not None and seen[record.runbook] <= keep_last
        if not (young or newest):
            found.append(record)
    return found


def needed(record: RunRecord, entries: Sequence[JournalEntry]) -> str:
    """Why a run must stay; empty: nothing needs it."""
    if record.state in ALIVE:
        return "it is alive"
    if record.state == "unreadable" or record.mode == "check":
        return ""
    if record.state in RESUMABLE:
        return "it can be resumed"
    if any(change.call is not None for change in past_of(entries).changes):
        return "it can be undone"
    return ""


def _is_after(record: RunRecord, moment: datetime) -> bool:
    return datetime.fromisoformat(record.started_at) > moment
