"""Events on disk until the tracker has acknowledged them: one file of JSON lines an emitter.

The owner of a file holds a lock on it, so that anybody can tell the file of a live process from one
that a dead process left behind, which is then delivered by whoever finds it. Knows nothing of the
network. What was written survives the death of the process, not a loss of power.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from tracker.client.identifiers import session_identifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPOOL_LIMIT = 256_000_000
"""Bytes that all spool files together may take; beyond it events are dropped and counted."""

REJECTED = "rejected"
"""The folder, inside the spool, of what no tracker will ever take."""

_CHUNK = 4_000_000
"""Bytes of a batch at the most; a line longer than this is no event of ours."""

_REJECTED_LIMIT = 16_000_000
_REJECTED_LINE = 4_000


class SpoolFull(OSError):
    """The spool has reached its limit."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read at once: good lines, bad ones each with the reason, and where reading ended."""

    lines: list[bytes]
    bad: list[tuple[bytes, str]]
    end: int


class Spool:
    """One spool file, locked by this process."""

    def __init__(self, path: Path, descriptor: int, room: int, *, adopted: bool) -> None:
        self.path = path
        self._descriptor = descriptor
        self._room = room
        self._adopted = adopted
        self._size = os.fstat(descriptor).st_size
        self._sent = 0
        self._lock = threading.RLock()

    @classmethod
    def create(cls, folder: Path, limit: int = SPOOL_LIMIT) -> Self:
        """A new, empty file of this process.

        Raises:
            OSError: the folder cannot be made or written.
        """
        for made in (folder.parent, folder):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{session_identifier()}-{os.getpid()}.jsonl"
        draft = path.with_suffix(".new")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
        descriptor = os.open(draft, flags, 0o600)
        # Locked before it has its name: an empty file without a lock would be tidied away.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        draft.rename(path)
        others = sum(_size(other) for other in spool_files(folder))
        return cls(path, descriptor, limit - others, adopted=False)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """The file of a dead process, or None: its owner lives, it is gone, or no file of ours."""
        if not _is_ours(path):
            return None
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if os.fstat(descriptor).st_nlink == 0:  # somebody delivered it between open and lock
            os.close(descriptor)
            return None
        return cls(path, descriptor, 0, adopted=True)

    @property
    def sent(self) -> int:
        """Bytes that were confirmed; the next batch begins here."""
        return self._sent

    @property
    def unsent(self) -> int:
        """Bytes that wait."""
        return self._size - self._sent

    def append(self, line: bytes) -> None:
        """Add one line, in one write.

        Raises:
            SpoolFull: the limit is reached.
            OSError: the disk would not take it; nothing of it stays.
        """
        with self._lock:
            if self.unsent + len(line) > self._room:
                raise SpoolFull("the spool is full")
            written = os.write(self._descriptor, line)
            if written < len(line):
                os.ftruncate(self._descriptor, self._size)
                raise OSError("the disk is full")
            self._size += written

    def read(self, most_events: int) -> Batch:
        """The next events that were not confirmed yet; an empty batch: there are none."""
        chunk = os.pread(self._descriptor, _CHUNK, self._sent)
        whole, newline, cut = chunk.rpartition(b"\n")
        if not newline and len(chunk) < _CHUNK and not self._adopted:
            return Batch([], [], self._sent)
        pieces = whole.split(b"\n") if newline else []
        at_end = self._sent + len(chunk) >= self._size
        if cut and (not newline or (self._adopted and at_end)):
            pieces.append(cut)
        batch = Batch([], [], self._sent)
        end = self._sent
        for piece in pieces[:most_events]:
            end = min(end + len(piece) + 1, self._sent + len(chunk))
            reason = _fault(piece)
            if reason:
                batch.bad.append((piece, reason))
            elif piece.strip():
                batch.lines.append(piece)
        return Batch(batch.lines, batch.bad, end)

    def confirm(self, end: int) -> None:
        """All up to here was acknowledged or set aside; an emptied file is cut to nothing."""
        with self._lock:
            self._sent = end
            if self._sent >= self._size:
                os.ftruncate(self._descriptor, 0)
                self._sent = self._size = 0

    def set_aside(self, line: bytes, reason: str) -> None:
        """Keep a line that no tracker will take where a person can look at it."""
        folder = self.path.parent / REJECTED
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / self.path.name
        if _size(target) > _REJECTED_LIMIT:
            return
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "reason": reason,
            "line": line[:_REJECTED_LINE].decode(errors="backslashreplace"),
        }
        descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        """Give up the lock; a file with nothing left in it is removed first."""
        with self._lock:
            if self.unsent == 0:
                self.path.unlink(missing_ok=True)
            os.close(self._descriptor)


def spool_files(folder: Path) -> list[Path]:
    """Every spool file that can be read, oldest first."""
    return [path for path in sorted(folder.glob("*.jsonl")) if _is_ours(path)]


def strange_entries(folder: Path) -> list[str]:
    """Names of what looks like a spool file and is none, or cannot be read: it is left alone."""
    # A name that is gone by now was delivered meanwhile.
    return [
        path.name
        for path in sorted(folder.glob("*.jsonl"))
        if not _is_ours(path) and os.path.lexists(path)
    ]


def adopt_all(folder: Path) -> Iterator[Spool]:
    """The files that dead processes left behind, oldest first; each is closed after its turn."""
    for path in spool_files(folder):
        spool = Spool.adopt(path)
        if spool is not None:
            with contextlib.closing(spool):
                yield spool


def _is_ours(path: Path) -> bool:
    """Whether it is a regular file, no link to one elsewhere, that we may read and write."""
    try:
        regular = stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
    return regular and os.access(path, os.R_OK | os.W_OK)


def _fault(line: bytes) -> str:
    """Why a line is no event, or nothing."""
    if not line.strip():
        return ""
    try:
        event = json.loads(line.decode())
    except UnicodeDecodeError:
        return "not UTF-8"
    except RecursionError:
        return "nested too deep"
    except ValueError:
        return "cut, or not JSON"
    named = isinstance(event, dict) and all(
        isinstance(event.get(key), str) for key in ("event_id", "session_id", "event_type")
    )
    return "" if named else "not an event"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
