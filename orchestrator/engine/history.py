"""Runs of the past, and of other processes: read from their folders.

Never writes: a run's folder belongs to the process that executes it.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from orchestrator.engine.journal import JOURNAL, RECORD, run_order, timestamp
from orchestrator.engine.liveness import is_alive
from orchestrator.engine.stored import read_entry, read_record
from schemas.errors import InvalidInput, NotFound
from schemas.run import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas.run import JournalEntry

_UNFINISHED = {"planned", "running", "waiting"}


@dataclass(frozen=True)
class Filter:
    """Which runs are wanted; empty: any.

    Args:
        state: in this state.
        runbook: of this runbook.
        host: on this host, among others.
        user: started by this user.
        since: started then or later.
        until: started before then.
    """

    state: str | None = None
    runbook: str | None = None
    host: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, record: RunRecord) -> bool:
        """Whether a run is wanted."""
        started = datetime.fromisoformat(record.started_at)
        return (
            self.state in (None, record.state)
            and self.runbook in (None, record.runbook)
            and self.user in (None, record.user)
            and (self.host is None or self.host in record.hosts)
            and (self.since is None or started >= self.since)
            and (self.until is None or started < self.until)
        )


def list_records(
    runs: Path,
    limit: int | None = 20,
    state: str | None = None,
    wanted: Filter | None = None,
) -> list[RunRecord]:
    """The newest runs, newest first.

    Args:
        runs: the folder of runs.
        limit: how many at the most; None: all.
        state: only those in this state.
        wanted: more about those that are wanted.
    """
    chosen = wanted or Filter(state)
    taken = (record for record in _records(runs) if chosen.takes(record))
    return list(islice(taken, limit))


def read_run(runs: Path, run_id: str) -> tuple[RunRecord, list[JournalEntry]]:
    """A run and its journal.

    Args:
        runs: the folder of runs.
        run_id: the run, the beginning of its name, or ``latest``.

    Raises:
        NotFound: no run of that name, or several.
        InvalidInput: its record is damaged.
    """
    names = [path.name for path in _folders(runs)]
    matching = [name for name in names if name == run_id or name.startswith(run_id)]
    if run_id == "latest":
        matching = names[:1]
    if run_id in matching:
        matching = [run_id]
    if len(matching) != 1:
        what = f"{len(matching)} runs begin with" if matching else "there is no run"
        raise NotFound(
            f"{what} {run_id!r}",
            where=str(runs),
            hint=f"the latest is {names[0]}" if names else "nothing was run here yet",
        )
    record = _record(runs / matching[0])
    if record is None:
        raise NotFound(f"the run {matching[0]!r} left no record", where=str(runs / matching[0]))
    if record.state == "unreadable":
        raise InvalidInput(
            str(record.error),
            where=str(runs / matching[0]),
            hint=f"what it did is in its {JOURNAL}, a JSON object a line",
        )
    return record, list(_entries(runs / matching[0] / JOURNAL))


def _records(runs: Path) -> Iterator[RunRecord]:
    for folder in _folders(runs):
        record = _record(folder)
        if record is not None:
            yield record


def _folders(runs: Path) -> list[Path]:
    """The runs' folders, the newest first."""
    if not runs.is_dir():
        return []
    folders = [path for path in runs.iterdir() if path.name[:1].isdigit()]
    return sorted(folders, key=lambda path: run_order(path.name), reverse=True)


def _record(folder: Path) -> RunRecord | None:
    """The record as it is now: a run whose process died is interrupted. None when it has none."""
    try:
        record = read_record((folder / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return _unreadable(folder, error)
    if record.state in _UNFINISHED:
        _count(record, list(_entries(folder / JOURNAL)))
    return record


def _count(record: RunRecord, entries: list[JournalEntry]) -> None:
    """What a run wrote down at its end, from its journal, for one that has not come there."""
    record.changed = sum(one.state == "changed" and one.phase == "step" for one in entries)
    if not _is_dead(record):
        return
    record.state = "interrupted"
    record.error = record.error or f"its process {record.pid} died"
    if entries:
        began = datetime.fromisoformat(record.started_at)
        seconds = (datetime.fromisoformat(entries[-1].at) - began).total_seconds()
        record.duration_seconds = round(max(0.0, seconds), 3)


def _is_dead(record: RunRecord) -> bool:
    # Only the machine that runs it can say whether its process lives.
    here = record.host == socket.gethostname()
    return here and not is_alive(record.pid, record.process_started)


def _unreadable(folder: Path, error: Exception) -> RunRecord:
    """A line of the list for a run whose record is damaged; its name says when it was."""
    return RunRecord(
        run_id=folder.name,
        runbook=folder.name[16:-5],
        title=folder.name[16:-5],
        state="unreadable",
        mode="run",
        started_at=timestamp(datetime.fromtimestamp(folder.stat().st_mtime, UTC)),
        pid=0,
        process_started=0.0,
        host="",
        user="",
        plan_hash="",
        hosts=[],
        error=f"its {RECORD} cannot be read: {error}",
    )


def _entries(path: Path) -> Iterator[JournalEntry]:
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        # A run that died while it wrote leaves half a line; a damaged one tells nothing either.
        with suppress(ValueError):
            yield read_entry(line)
