"""What becomes an event: the start of a shell, each statement, its end.

Knows the emitter and the words of an event; nothing of IPython.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.shell.statements import shortened

if TYPE_CHECKING:
    from orchestrator.shell.signals import Terminations
    from tracker.client.emitter import Emitter

INTERRUPTED = 130
FAILED = 1


@dataclass
class Statement:
    """One statement while it runs; whoever runs it fills in how it went.

    Args:
        text: as typed.
        private: it began with a space, so it is run but not recorded.
        ends_shell: it was the ``exit``, which the end of the session stands for.
        exit_code: 0, or what it failed with.
        error: what the failure said, for a person.
    """

    text: str
    private: bool = False
    ends_shell: bool = False
    exit_code: int = 0
    error: str = ""
    started: float = 0.0

    def fail(self, error: BaseException) -> None:
        """Note why it failed."""
        self.exit_code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
        if isinstance(error, SystemExit):
            self.exit_code = exit_code_of(error)
        says = str(error).strip()
        self.error = shortened(f"{type(error).__name__}: {says}" if says else type(error).__name__)

    @property
    def outcome(self) -> str:
        """``ok``, ``failed`` or ``interrupted``."""
        if self.exit_code == INTERRUPTED:
            return "interrupted"
        return "failed" if self.exit_code else "ok"


class Recorder:
    """One shell session's record.

    Args:
        emitter: where events go; it redacts them, and stores them on disk before it returns.
        terminations: held back while an event is written.
    """

    def __init__(self, emitter: Emitter, terminations: Terminations) -> None:
        self._emitter = emitter
        self._terminations = terminations
        self._ended = False

    @property
    def session_id(self) -> str:
        """The session that this shell is."""
        return self._emitter.session_id

    def start(self) -> None:
        """Record that the shell was opened."""
        with self._terminations.held():
            self._emitter.start()

    def begin(self, statement: Statement) -> None:
        """Note when a statement began."""
        statement.started = time.monotonic()

    def finish(self, statement: Statement) -> None:
        """Record a statement that has run."""
        if statement.private or statement.ends_shell:
            return
        data: dict[str, Any] = {"text": statement.text, "outcome": statement.outcome}
        if statement.error:
            data["error"] = statement.error
        with self._terminations.held():
            self._emitter.emit(
                "command",
                data,
                duration_seconds=time.monotonic() - statement.started,
                exit_code=statement.exit_code,
            )

    def end(self, exit_code: int, reason: str = "") -> None:
        """Record that the shell was closed, and wait a moment for the tracker to have it all.

        Args:
            exit_code: the shell's own; 128 and the signal's number when a signal ended it.
            reason: what ended it when nobody asked for it, such as ``SIGTERM``.
        """
        if self._ended:
            return
        self._ended = True
        with self._terminations.held():
            self._emitter.end(exit_code, {"reason": reason} if reason else {})


def exit_code_of(error: SystemExit) -> int:
    """The exit code that Python would end with: a text is printed and means 1."""
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else FAILED
