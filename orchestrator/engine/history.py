"""Runs of the past, and of other processes: read from their folders.

Never writes: a run's folder belongs to the process that executes it.
"""

from __future__ import annotations

import dataclasses
import json
import socket
from typing import TYPE_CHECKING, Any

from orchestrator.engine.journal import JOURNAL, RECORD, run_order
from orchestrator.engine.liveness import is_alive
from schemas.errors import NotFound
from schemas.run import JournalEntry, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNFINISHED = {"planned", "running", "waiting"}


def list_records(runs: Path, limit: int = 20, state: str | None = None) -> list[RunRecord]:
    """The newest runs, newest first.

    Args:
        runs: the folder of runs.
        limit: how many at the most.
        state: only those in this state.
    """
    found: list[RunRecord] = []
    for record in _records(runs):
        if state in (None, record.state):
            found.append(record)
        if len(found) >= limit:
            break
    return found


def read_run(runs: Path, run_id: str) -> tuple[RunRecord, list[JournalEntry]]:
    """A run and its journal.

    Args:
        runs: the folder of runs.
        run_id: the run, the beginning of its name, or ``latest``.

    Raises:
        NotFound: no run of that name, or several.
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
    data = _json(folder / RECORD)
    if data is None:
        return None
    known = {one.name for one in dataclasses.fields(RunRecord)}
    record = RunRecord(**{key: value for key, value in data.items() if key in known})
    if record.state in _UNFINISHED and _is_dead(record):
        record.state = "interrupted"
        record.error = record.error or f"its process {record.pid} died"
    return record


def _is_dead(record: RunRecord) -> bool:
    # Only the machine that runs it can say whether its process lives.
    here = record.host == socket.gethostname()
    return here and not is_alive(record.pid, record.process_started)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    return data if isinstance(data, dict) else None


def _entries(path: Path) -> Iterator[JournalEntry]:
    known = {one.name for one in dataclasses.fields(JournalEntry)}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            data = json.loads(line)
        except json.JSONDecodeError:
            # The last line of a run that died while it wrote it.
            continue
        yield JournalEntry(**{key: value for key, value in data.items() if key in known})
