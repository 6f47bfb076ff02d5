"""What every face calls about runs that are over: what differs between two, forgetting old ones.

Errors are exceptions of ``schemas.errors``; nothing here prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput, StepFailed
from schemas.places import Places

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.run import RunRecord


@dataclass(frozen=True)
class Forgotten:
    """What became of the runs that are neither young nor new.

    Args:
        gone: those that are forgotten, or would be.
        kept: those that had to stay, with why.
    """

    gone: list[RunRecord]
    kept: list[tuple[RunRecord, str]]


def diff_runs(first: str, second: str) -> dict[str, Any]:
    """What differs between two runs, as ``engine.comparison.compare`` gives it.

    Args:
        first: a run, the beginning of its name, or ``latest``.
        second: another.

    Raises:
        NotFound: there is no such run.
    """
    from orchestrator.engine.comparison import compare
    from orchestrator.engine.history import read_run

    runs = Places.of_this_user().runs
    return compare(read_run(runs, first), read_run(runs, second))


def forget_runs(
    *, keep_days: int | None = None, keep_last: int | None = None, dry_run: bool = False
) -> Forgotten:
    """Delete the folders of old runs. One that is alive, or can be resumed or undone, stays.

    Args:
        keep_days: runs that are younger stay.
        keep_last: so many runs of each runbook stay.
        dry_run: only tell.

    Raises:
        InvalidInput: neither says what to keep.
        StepFailed: a folder could not be deleted.
    """
    from orchestrator.engine.history import list_records, read_run
    from orchestrator.engine.retention import beyond, needed

    if keep_days is None and keep_last is None:
        raise InvalidInput("nothing says what to keep", hint="give --keep-days or --keep-last")
    places = Places.of_this_user()
    old = beyond(
        list_records(places.runs, None),
        datetime.now(UTC),
        keep_days=keep_days,
        keep_last=keep_last,
    )
    found = Forgotten([], [])
    for record in old:
        readable = record.state != "unreadable"
        entries = read_run(places.runs, record.run_id)[1] if readable else []
        why = needed(record, entries)
        if why:
            found.kept.append((record, why))
            continue
        found.gone.append(record)
        if not dry_run:
            _delete(places.runs / record.run_id, places.state / "saved" / record.run_id)
    return found


def _delete(*folders: Path) -> None:
    import shutil

    for folder in folders:
        try:
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise StepFailed(f"could not be deleted: {error}", where=str(folder)) from None
