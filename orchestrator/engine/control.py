"""A run's control file: what other processes ask of it, a JSON object a line.

Knows lines and how to wait for them, not what a run does with them.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from orchestrator.engine.journal import timestamp
from schemas.run import Ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.engine.stop import StopRequest

CONTROL = "control.jsonl"
LOOK = 0.1
"""Seconds between two looks at the file: nobody notices a tenth, and it costs a stat."""


@dataclass(frozen=True)
class Word:
    """What somebody asks of a run.

    Args:
        at: when, ISO 8601.
        by: who.
        ask: what.
        step: the step whose question this answers.
        question: when that question was put, ISO 8601; a later one is not answered by it.
    """

    at: str
    by: str
    ask: Ask
    step: str = ""
    question: str = ""


def person() -> str:
    """Who works here: the user of the process, or who became root with sudo."""
    uid = os.getuid()
    if uid == 0 and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def send(folder: Path, ask: Ask, by: str, *, step: str = "", question: str = "") -> None:
    """Ask something of the run that has this folder."""
    line = {"at": timestamp(), "by": by, "ask": ask, "step": step, "question": question}
    descriptor = os.open(folder / CONTROL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Inbox:
    """What other processes ask of this run from now on; what is older was for an earlier process.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / CONTROL
        self._seen = self._size()
        self._answers: list[Word] = []
        self._changed = threading.Condition()

    def answer(self, step: str, question: str, seconds: float) -> Word | None:
        """The next answer to a question; None when none comes in time."""
        with self._changed:
            found = self._take(step, question)
            if found is None:
                self._changed.wait(seconds)
                found = self._take(step, question)
            return found

    @contextmanager
    def listening(self, stop: StopRequest) -> Iterator[None]:
        """Look at the file meanwhile; what asks to stop stops."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(LOOK):
                for word in self._new():
                    self._hear(word, stop)

        watcher = threading.Thread(target=look, name="control file", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _hear(self, word: Word, stop: StopRequest) -> None:
        if word.ask in {"cancel", "stop_now"}:
            if not stop.asked:
                stop.ask(word.by)
            if word.ask == "stop_now":
                # Only a signal reaches the main thread wherever it is; it is the second request.
                os.kill(os.getpid(), signal.SIGTERM)
            return
        with self._changed:
            self._answers.append(word)
            self._changed.notify_all()

    def _take(self, step: str, question: str) -> Word | None:
        for word in self._answers:
            if word.step in {"", step} and word.question in {"", question}:
                self._answers.remove(word)
                return word
        return None

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _new(self) -> Iterator[Word]:
        if self._size() <= self._seen:
            return
        with self._path.open("rb") as stream:
            stream.seek(self._seen)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._seen += len(whole)
        for line in whole.splitlines():
            with suppress(ValueError, TypeError, KeyError):  # anybody may have written it
                yield _word(json.loads(line))


def _word(data: dict[str, str]) -> Word:
    if data["ask"] not in get_args(Ask):
        raise ValueError(data["ask"])
    texts = {key: str(data.get(key, "")) for key in ("at", "by", "step", "question")}
    return Word(ask=data["ask"], **texts)  # type: ignore[arg-type]
