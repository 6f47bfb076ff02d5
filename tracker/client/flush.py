"""The spool folder as a whole: what waits in it, and its delivery on request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tracker.client.delivery import deliver
from tracker.client.spool import REJECTED, Spool, adopt_all, spool_files, strange_entries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a flush did, in events.

    Args:
        sent: acknowledged by the tracker.
        left: still in the files of live processes, which deliver them by themselves.
        set_aside: what no tracker will take, moved to ``spool/rejected``.
        skipped: names of what is no readable file, such as a folder or a link.
    """

    sent: int
    left: int
    set_aside: int
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """One spool file.

    Args:
        name: the file's name.
        events: lines that wait.
        bytes: its size.
        oldest: when its first event happened (ISO 8601), or when the file was last written.
        owner: ``live``: its process runs and delivers it; ``dead``: left behind.
    """

    name: str
    events: int
    bytes: int
    oldest: str
    owner: str


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """What waits in the spool; ``skipped`` as in ``Flushed``."""

    folder: str
    files: tuple[SpoolFile, ...]
    events: int
    rejected: int
    skipped: tuple[str, ...] = ()


def flush_spool(settings: Settings) -> Flushed:
    """Deliver everything that dead processes left behind.

    Raises:
        SessionopsError: the tracker cannot be reached or does not know us; nothing is lost.
    """
    from tracker.client.servers import session_buddy

    folder = settings.places.spool
    most = settings.count("mahavishnu.event_buffer.max_size")
    sent = set_aside = 0
    with session_buddy(settings, "ingest") as client:
        for spool in adopt_all(folder):
            delivered = deliver(spool, client, most)
            sent += delivered.sent
            set_aside += delivered.set_aside
    left = sum(_lines(path) for path in spool_files(folder))
    return Flushed(sent, left, set_aside, tuple(strange_entries(folder)))


def spool_status(settings: Settings) -> SpoolStatus:
    """What waits, file by file, oldest first; empty files of live processes are left out."""
    folder = settings.places.spool
    files = tuple(_waiting(folder))
    rejected = sum(_lines(path) for path in spool_files(folder / REJECTED))
    events = sum(file.events for file in files)
    return SpoolStatus(str(folder), files, events, rejected, tuple(strange_entries(folder)))


def _waiting(folder: Path) -> Iterator[SpoolFile]:
    for path in spool_files(folder):
        events = _lines(path)
        if events:
            yield SpoolFile(path.name, events, path.stat().st_size, _oldest(path), _owner(path))


def _owner(path: Path) -> str:
    spool = Spool.adopt(path)
    if spool is None:
        return "live"
    spool.close()
    return "dead"


def _oldest(path: Path) -> str:
    with path.open("rb") as file:
        first = file.readline()
    try:
        return str(json.loads(first)["timestamp"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()


def _lines(path: Path) -> int:
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # delivered meanwhile
        return 0
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
