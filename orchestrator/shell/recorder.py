"""What becomes an event: the start of a shell, each statement, its end.

Knows the emitter and the words of an event; nothing of IPython.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.shell.signals import Terminated

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.shell.signals import Terminations
    from tracker.client.emitter import Emitter

INTERRUPTED = 130
FAILED = 1


@dataclass
class Statement:
    """One statement, made when it begins; whoever runs it fills in how it went.

    Args:
        text: as typed.
        private: it began with a space, so it is run but not recorded.
        is_exit: it is the ``exit``, for which the end of the session stands, if it comes to that.
        ends_shell: it ended the shell.
        outcome: ``ok``, ``failed`` or ``interrupted``.
        exit_code: 0, or what it failed with.
        error: what the failure said, for a person.
        began: when.
    """

    text: str
    private: bool = False
    is_exit: bool = False
    ends_shell: bool = False
    outcome: Literal["ok", "failed", "interrupted"] = "ok"
    exit_code: int = 0
    error: str = ""
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _clock: float = field(default_factory=time.monotonic)

    def exit(self, code: int) -> None:
        """Note the exit code that it ended with."""
        self.exit_code, self.outcome = code, "failed" if code else "ok"

    def fail(self, error: BaseException) -> None:
        """Note the error that it ended with; a ``SystemExit`` may be none."""
        if isinstance(error, SystemExit):
            self.ends_shell = True
            self.exit(exit_code_of(error))
            self.error = error.code if isinstance(error.code, str) else ""
        else:
            self.exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED)
            self.error = f"{_public_name(error)}: {error}".strip().removesuffix(":")
        if isinstance(error, (KeyboardInterrupt, Terminated)):
            self.outcome = "interrupted"
            self.error = getattr(error, "reason", "SIGINT")

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._clock


class Recorder:
    """One shell session's record.

    Args:
        emitter: where events go; it redacts them, and stores them on disk before it returns.
        terminations: held back while an event is written.
        trace: told of each step, for the log; see ``orchestrator.shell.trace``.
    """

    def __init__(
        self, emitter: Emitter, terminations: Terminations, trace: Callable[..., None]
    ) -> None:
        self._emitter = emitter
        self._terminations = terminations
        self._trace = trace
        self._ended = False

    @property
    def session_id(self) -> str:
        """The session that this shell is."""
        return self._emitter.session_id

    @property
    def problem(self) -> str:
        """Why events do not arrive at the moment; empty: they do."""
        return self._emitter.problem

    def start(self) -> None:
        """Record that the shell was opened."""
        with self._terminations.held():
            self._emitter.start()
            self._trace("session_start", problem=self.problem)

    def finish(self, statement: Statement) -> None:
        """Record a statement that has run."""
        if statement.private or (statement.is_exit and statement.ends_shell):
            return
        data: dict[str, Any] = {"text": statement.text, "outcome": statement.outcome}
        if statement.error:
            data["error"] = statement.error
        with self._terminations.held():
            self._emitter.emit(
                "command",
                data,
                duration_seconds=statement.seconds,
                exit_code=statement.exit_code,
                timestamp=statement.began,
            )
            self._trace("command", outcome=statement.outcome, problem=self.problem)

    def deliver(self, seconds: float = 2.0) -> bool:
        """Try to have everything stored now; whether it is.

        Args:
            seconds: how long to try.
        """
        return self._emitter.flush(seconds)

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
            self._trace("session_end", exit_code=exit_code, problem=self.problem)


def exit_code_of(error: SystemExit) -> int:
    """The exit code that Python would end with: a text is printed and means 1."""
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else FAILED


def _public_name(error: BaseException) -> str:
    """What an error is called; Python 3.13 has private subclasses of SyntaxError."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return next((name for name in names if not name.startswith("_")), names[0])
