"""A run's folder: its record, and the journal that is on disk before the next step starts.

Writes what it is given; knows nothing of steps or hosts. Everything in it is readable by its owner
only, and has gone through the registry of secrets.
"""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from schemas.errors import Busy

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.redact import SecretRegistry
    from schemas.run import JournalEntry, RunRecord

RECORD = "run.json"
JOURNAL = "journal.jsonl"
TRACE = "trace.log"
PLAN = "plan.json"


def new_run_id(runbook: str, now: datetime) -> str:
    """A run's name: ``20261123-091500-deploy-3f2a``; the end is the fraction of the second."""
    stamp = now.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{runbook}-{now.microsecond * 0x10000 // 1_000_000:04x}"


def run_order(run_id: str) -> tuple[str, str]:
    """What sorts runs by the time when they started."""
    return run_id[:15], run_id[-4:]


def timestamp(now: datetime | None = None) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")


class RunFolder:
    """The folder of a run that this process executes.

    Args:
        path: the folder; made by ``create``.
        registry: the secrets to mask.
    """

    def __init__(self, path: Path, registry: SecretRegistry) -> None:
        self.path = path
        self.registry = registry
        self._journal = os.open(path / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    @classmethod
    def create(cls, runs: Path, record: RunRecord, registry: SecretRegistry) -> Self:
        """Make the folder (0700) with its record."""
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = runs / record.run_id
        path.mkdir(mode=0o700)
        folder = cls(path, registry)
        folder.save(record)
        return folder

    @classmethod
    def reopen(cls, path: Path, registry: SecretRegistry) -> Self:
        """Go on in the folder of a run whose process is gone.

        Raises:
            Busy: another process does so at this moment.
        """
        folder = cls(path, registry)
        try:
            fcntl.flock(folder._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            folder.close()
            raise Busy(
                f"another process goes on with the run {path.name}", hint="wait for it to end"
            ) from None
        # A process that died while it wrote has left half a line.
        if not (path / JOURNAL).read_bytes().endswith(b"\n"):
            os.write(folder._journal, b"\n")
        return folder

    def save(self, record: RunRecord) -> None:
        """Replace the record as a whole."""
        text = json.dumps(self.registry.mask_data(record.as_dict()), indent=2, default=str)
        temporary = self.path / f"{RECORD}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(self.path / RECORD)

    def keep_plan(self, plan: dict[str, Any]) -> None:
        """Keep what was planned, without secrets: a resumed run compares its plan with it."""
        descriptor = os.open(self.path / PLAN, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(plan, stream, default=str)

    def append(self, entry: JournalEntry) -> None:
        """Add a line to the journal.

        A line that ends something is synced. One that announces something only has to outlive this
        process, not a power cut: what was never reported as done is looked at again anyway.
        """
        text = json.dumps(self.registry.mask_data(entry.as_dict()), default=str)
        os.write(self._journal, text.encode() + b"\n")
        if entry.state != "started":
            os.fsync(self._journal)

    def trace(self, text: str) -> None:
        """Keep a traceback for whoever has to find a fault in a task."""
        descriptor = os.open(self.path / TRACE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(self.registry.mask(text) + "\n")

    def close(self) -> None:
        """No more lines."""
        os.close(self._journal)
