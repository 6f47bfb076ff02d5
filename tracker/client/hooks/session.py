"""Makes of a hooked shell's messages the events of a session, as the admin shell's are made.

Knows what each shell says and the words of an event; nothing of processes and pipes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tracker.client.hooks.history import History, Looked
from tracker.client.plain import LONGEST_TEXT

if TYPE_CHECKING:
    from tracker.client.emitter import Emitter
    from tracker.client.hooks.stream import Message

INTERRUPTED = 130
STOPPED = 148
"""128 and SIGTSTP: Ctrl-Z has stopped it, and it may go on."""

HUNG_UP = 129
_HIGHEST_OWN_CODE = 128
"""Codes above it tell of a signal."""

CRASH = "crash"
"""The reason that makes a session a failed one; see ``tracker.store.rows``."""

_KEPT = LONGEST_TEXT - 100
_BASH_CWD = 6
"""Where bash tells its folder; zsh tells it first."""

_EXIT = re.compile(r"\s*(exit|logout|bye)(\s+\d+)?\s*;?\s*")


@dataclass(slots=True)
class _Begun:
    text: str
    at: int


class ShellSession:
    """One shell's session.

    Args:
        emitter: where events go; it redacts them.
        cwd: the folder in which the session began.
    """

    def __init__(self, emitter: Emitter, cwd: str) -> None:
        self._emitter = emitter
        self._cwd = self._told_cwd = cwd
        self._history = History()
        self._number: int | None = None
        self._begun: _Begun | None = None
        self._last_began = 0
        self._status: int | None = None
        """The code that the shell ends with, once it has said that it ends."""

    def hear(self, message: Message) -> None:
        """Record what a message tells."""
        self._count(message.number)
        match message.kind:
            case "P":
                if len(message.fields) > 1:
                    self._history.begin(_looked(message))
            case "B":
                _, length, text = message.fields
                if int(length) > len(text):
                    text = f"{text[:_KEPT]}… ({int(length) - _KEPT} characters cut)"
                self._begun = _Begun(text, message.at)
            case "F":
                self._finish(message.at, message.status)
            case "C":
                self._ran(message)
            case "E":
                if len(message.fields) > 1:
                    self._ran(message)
                self._finish(message.at, message.status, ends_shell=True)
                self._status = message.status
        self._cwd = _cwd(message)

    @property
    def ended(self) -> bool:
        """Whether the shell has said that it ends."""
        return self._status is not None

    def end(self, exit_code: int | None, replaced_by: str = "") -> None:
        """The shell is gone.

        Args:
            exit_code: what the system says that it ended with; None: nobody knows.
            replaced_by: the program that it has become by ``exec``.
        """
        if replaced_by and self._status is None:
            self._finish(None, 0)
            self._emitter.end(0, {"reason": "exec", "program": replaced_by})
            return
        if self._status is not None and (exit_code is None or self._status == HUNG_UP):
            exit_code = self._status
        # Without a word: killed; or a trap of the user's stands where ours was, or a zsh under
        # "set -e" has ended by the command that ran.
        killed = exit_code is None or exit_code > _HIGHEST_OWN_CODE
        self._finish(None, None if killed else exit_code)
        data: dict[str, Any] = {}
        if exit_code == HUNG_UP:
            data = {"reason": "SIGHUP"}
        elif self._status is None and killed:
            data = {"reason": CRASH, "error": "the shell ended without a word"}
        self._emitter.end(exit_code, data)

    def _count(self, number: int) -> None:
        # A recorder that was started anew does not know where the one before it stopped.
        missing = 0 if self._number is None else number - self._number - 1
        self._number = number
        if missing > 0:
            self._emitter.dropped += missing
            reason = "the pipe of the shell was full"
            self._emitter.emit("gap", {"dropped": missing, "reason": reason})

    def _ran(self, message: Message) -> None:
        began = int(message.fields[0] or 0)
        # Ctrl-C just after a command may have it told twice.
        if began not in (0, self._last_began):
            self._last_began = began
            self._begun = _Begun(self._history.run(_looked(message)), began)
            if message.kind == "C":
                self._finish(message.at, message.status)

    def _finish(self, at: int | None, status: int | None, *, ends_shell: bool = False) -> None:
        """Record the command that runs, if one does; ``at`` is when it ended, in microseconds."""
        begun, self._begun = self._begun, None
        if begun is None or not begun.text or begun.text[0] in " \t":
            return
        if ends_shell and _EXIT.fullmatch(begun.text):
            return  # the end of the session stands for it
        data: dict[str, Any] = {"text": begun.text.rstrip("\n"), "outcome": _outcome(status)}
        if status == INTERRUPTED:
            data["error"] = "SIGINT"
        if self._cwd != self._told_cwd:
            data["cwd"] = self._told_cwd = self._cwd
        self._emitter.emit(
            "command",
            data,
            duration_seconds=None if at is None else (at - begun.at) / 1e6,
            exit_code=None if status == STOPPED else status,
            timestamp=datetime.fromtimestamp(begun.at / 1e6, UTC),
        )


def _outcome(status: int | None) -> str:
    if status is None:
        return "unknown"
    return {0: "ok", INTERRUPTED: "interrupted", STOPPED: "stopped"}.get(status, "failed")


def _looked(message: Message) -> Looked:
    _, number, control, ignores, options, ran, _, listing = message.fields
    kept = "history" in options.split(":")
    return Looked(int(number or 0), control, bool(ignores), kept, ran, listing)


def _cwd(message: Message) -> str:
    return message.fields[_BASH_CWD if len(message.fields) > _BASH_CWD else 0]
