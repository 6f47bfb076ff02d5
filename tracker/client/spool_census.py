"""How much waits in a spool, found out without reading it: it may hold 256 MB in 10,000 files.

Sizes come from the directory. Of a few files the beginning is read, for the time of the oldest
event and for how long a line is here; from that the number of events is reckoned. What was read
whole was counted.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tracker.client.spool import REJECTED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_FILES = 20_000
"""Directory entries that are looked at; more are no spool but an accident."""

SAMPLES = 64
_SAMPLE_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Census:
    """What waits.

    Args:
        files: spool files with something in them.
        size: bytes in them.
        events: how many those are; exact as long as they are few, else reckoned.
        oldest: the time of the oldest event that was seen.
        rejected: lines set aside because no tracker will ever take them; reckoned likewise.
    """

    files: int
    size: int
    events: int
    oldest: datetime | None
    rejected: int


def take_census(folder: Path) -> Census:
    """Look at a spool folder; one that is missing is empty.

    Raises:
        OSError: the folder cannot be read.
    """
    waiting, rejected = _files(folder), _files(folder / REJECTED)
    # Names begin with the time at which the file was made, so the oldest events are in the first.
    samples = [_sample(path) for path, _ in waiting[:SAMPLES]]
    set_aside = [_sample(path) for path, _ in rejected[:SAMPLES]]
    times = [moment for sample in samples if (moment := _time_of(sample)) is not None]
    size = sum(size for _, size in waiting)
    return Census(
        files=len(waiting),
        size=size,
        events=_reckoned(samples, size),
        oldest=min(times, default=None),
        rejected=_reckoned(set_aside, sum(size for _, size in rejected)),
    )


def _files(folder: Path) -> list[tuple[str, int]]:
    """Files that are not empty, by name, with their sizes."""
    found: list[tuple[str, int]] = []
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return found
    with entries:
        for number, entry in enumerate(entries):
            if number >= MOST_FILES:
                break
            if not entry.name.endswith(".jsonl"):
                continue
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # delivered meanwhile
            if stat.S_ISREG(facts.st_mode) and facts.st_size:
                found.append((entry.path, facts.st_size))
    return sorted(found)


def _sample(path: str) -> bytes:
    """The beginning of a file; nothing if it is gone or not ours to read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _SAMPLE_BYTES)
    finally:
        os.close(descriptor)


def _reckoned(samples: Sequence[bytes], size: int) -> int:
    """How many lines so many bytes are, going by samples."""
    lines = sum(sample.count(b"\n") for sample in samples)
    # The line that a sample cuts off is no part of it.
    read = sum(sample.rfind(b"\n") + 1 for sample in samples)
    return round(size * lines / read) if read else int(bool(size))


def _time_of(sample: bytes) -> datetime | None:
    """The time of the first event of a file."""
    try:
        moment = datetime.fromisoformat(json.loads(sample.partition(b"\n")[0])["timestamp"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return moment if moment.tzinfo else None
