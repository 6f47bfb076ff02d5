"""A run as a tracked session: one event a finished step, through the emitter's spool.

With ``recording: best_effort`` nothing that happens here can make a run fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.run import EXIT_CODES

if TYPE_CHECKING:
    from schemas.run import JournalEntry, RunRecord
    from schemas.settings import Settings
    from tracker.client.emitter import Emitter

_ON_THE_WAY = {"started", "retrying", "approved"}
_FAILED = {"failed", "ignored"}


class Recorder:
    """The tracked session of one run.

    Args:
        emitter: None records nothing.
    """

    def __init__(self, emitter: Emitter | None) -> None:
        self._emitter = emitter

    def entry(self, entry: JournalEntry) -> None:
        """Record a journal entry that ends something."""
        if self._emitter is None or entry.state in _ON_THE_WAY:
            return
        data = entry.as_dict()
        for key in ("at", "outputs", "undo", "diff", "duration_seconds"):
            data.pop(key, None)
        self._emitter.emit(
            "step",
            data,
            duration_seconds=entry.duration_seconds,
            exit_code=1 if entry.state in _FAILED else 0,
        )

    def end(self, record: RunRecord) -> None:
        """Record how the run ended, and give its events a moment to arrive."""
        if self._emitter is None:
            return
        data: dict[str, Any] = {"state": record.state, "changed": record.changed}
        if record.error:
            data["error"] = record.error
            data["failed_step"] = record.failed_step
        self._emitter.end(EXIT_CODES.get(record.state, 1), data)


def start_recording(record: RunRecord, settings: Settings, *, strict: bool) -> Recorder:
    """Begin the tracked session of a run.

    Args:
        record: the run.
        settings: of this machine: its tracker gets the events.
        strict: no run without a record.

    Raises:
        StepFailed: the recording is strict and the disk would not take the first event.
    """
    from tracker.client.emitter import Emitter
    from tracker.client.facts import session_facts

    facts = session_facts(
        "mahavishnu",
        "runbook",
        run_id=record.run_id,
        metadata={
            "runbook": record.runbook,
            "title": record.title,
            "plan_hash": record.plan_hash,
            "hosts": record.hosts,
            "params": record.params,
        },
        look_at_git=settings.flag("session_buddy.session_tracking.auto_init"),
    )
    emitter = Emitter(facts, settings, strict=strict)
    emitter.start()
    return Recorder(emitter)
