"""Whether the process that a record or a lock names is still the one that wrote it.

Knows process numbers and start times only.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

TOLERANCE = 30.0
"""Seconds by which two readings of one start time may differ: they are relative to the wall clock,
which may be set in between."""
_ZOMBIE = {"Z", "X"}
_STATE, _START_TICKS = 0, 19  # proc(5): fields 3 and 22, counted after the command in brackets


def process_started(pid: int) -> float | None:
    """When a process started, in seconds since the epoch; None when no such process runs."""
    if not Path("/proc/self/stat").exists():
        return _started_elsewhere(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    if fields[_STATE] in _ZOMBIE:
        return None
    since_boot = int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK")
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return round(booted + since_boot, 2)


def is_alive(pid: int, started: float) -> bool:
    """Whether the process ``pid`` runs and is the one that started then."""
    now = process_started(pid)
    return now is not None and abs(now - started) < TOLERANCE


def _started_elsewhere(pid: int) -> float | None:
    """For systems without /proc; psutil costs 60 ms to import, so it is not used on Linux."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None
