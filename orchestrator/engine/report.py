"""Where everything that happens in a run is told: journal, record, tracked session, listening face.

Knows entries and states, not how steps are done.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.engine.journal import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.engine.journal import RunFolder
    from orchestrator.engine.recording import Recorder
    from schemas.run import JournalEntry, RunRecord, RunState

OUTPUT_LIMIT = 64 * 1024
"""Characters kept of one text in a step's outputs: its beginning and its end."""


@dataclass(frozen=True)
class RunEvent:
    """What a face is told while a run goes on. Holds no secrets.

    Args:
        kind: ``started`` and ``finished`` once each; ``entry`` for a journal entry; ``note`` for a
            line that is not about a step; ``waiting`` when a person is asked, ``answered`` when
            that is over, also without an answer.
        record: the run as it is now.
        entry: of kind ``entry``.
        text: of kind ``note``, ``waiting`` and ``answered``; of the last two the question.
    """

    kind: Literal["started", "entry", "note", "waiting", "answered", "finished"]
    record: RunRecord
    entry: JournalEntry | None = None
    text: str = ""


class Reporter:
    """Tells of one run; several threads may call it, one entry is told after the other.

    Args:
        folder: its folder.
        record: its record, kept up to date here.
        recorder: its tracked session.
        listen: the face that started it. One that raises is not told anything more.

    ``unheard`` is what the face raised.
    """

    def __init__(
        self,
        folder: RunFolder,
        record: RunRecord,
        recorder: Recorder,
        listen: Callable[[RunEvent], None] | None,
    ) -> None:
        self.folder = folder
        self.record = record
        self.entries: list[JournalEntry] = []
        self._recorder = recorder
        self._listen = listen
        self.unheard: Exception | None = None
        # One that the same thread can take twice: a signal may come in the middle of an entry.
        self._lock = threading.RLock()
        self._over = False

    def entry(self, entry: JournalEntry) -> None:
        """Write a journal entry, before anything else happens."""
        shown = self._shown(entry)
        with self._lock:
            if self._over:
                return
            self.folder.append(shown)
            self.entries.append(shown)
            if shown.state == "changed" and shown.phase == "step":
                self.record.changed += 1
            self._recorder.entry(shown)
            self._tell(RunEvent("entry", self.record, shown))

    def note(self, text: str) -> None:
        """Tell the face something that is not about a step."""
        self._tell(RunEvent("note", self.record, text=self.folder.registry.mask(text)))

    def waiting(self, text: str) -> None:
        """The run waits for a person."""
        self.state("waiting")
        self._tell(RunEvent("waiting", self.record, text=self.folder.registry.mask(text)))

    def answered(self, text: str) -> None:
        """The run waits for that person no more."""
        self.state("running")
        self._tell(RunEvent("answered", self.record, text=self.folder.registry.mask(text)))

    def state(self, state: RunState) -> None:
        """The run is in another state now."""
        with self._lock:
            self.record.state = state
            self.folder.save(self.record)

    def started(self) -> None:
        """The run begins."""
        self.state("running")
        self._tell(RunEvent("started", self.record))

    def finished(self) -> None:
        """The run is over; its record says how."""
        if self.record.error is not None:
            self.record.error = self.folder.registry.mask(self.record.error)
        with self._lock:
            self.folder.save(self.record)
            self._recorder.end(self.record)
            self._tell(RunEvent("finished", self.record))
            self._over = True  # for a thread that did not leave when everybody had to
            self.folder.close()

    def _shown(self, entry: JournalEntry) -> JournalEntry:
        registry = self.folder.registry
        masked = registry.mask_data(entry.as_dict())
        shown = replace(entry, at=timestamp(), **{key: masked[key] for key in _TEXTS & set(masked)})
        shown.outputs = bounded(registry.mask_data(entry.outputs))
        return shown

    def _tell(self, event: RunEvent) -> None:
        with self._lock:
            if self._listen is None:
                return
            try:
                self._listen(event)
            except Exception as error:  # noqa: BLE001 -- a closed pipe must not end a run half-way
                self._listen = None
                self.unheard = error


_TEXTS = {"title", "item", "message", "diff", "error", "hint", "undo"}


def bounded(value: Any) -> Any:
    """A step's outputs with long texts cut in the middle."""
    if isinstance(value, str) and len(value) > OUTPUT_LIMIT:
        half = OUTPUT_LIMIT // 2
        return f"{value[:half]}\n[... {len(value) - OUTPUT_LIMIT} characters ...]\n{value[-half:]}"
    if isinstance(value, dict):
        return {key: bounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [bounded(item) for item in value]
    return value
