"""The PID file of a server: process id and start time, so that a reused id deceives nobody."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.places import Places

_TOLERANCE = 2.0
"""Seconds; the start time is derived from the boot time, which moves when the clock is set."""


def pid_file(service: str, places: Places) -> Path:
    """Where the PID of a server is kept."""
    return places.state / f"{service}.pid"


def write_pid(path: Path) -> None:
    """Record this process."""
    _record(path, psutil.Process())


def reclaimed(path: Path, pid: int, places: Places) -> psutil.Process | None:
    """A process that says it is the server, if it is one of this deployment; then it is recorded.

    For a PID file that is lost or damaged, without which nobody could stop its server any more.

    Args:
        path: the PID file.
        pid: of the process, on this machine.
        places: the deployment, which a server has in its environment or works in.
    """
    try:
        process = psutil.Process(pid)
        homes = {process.environ().get("MAHAVISHNU_HOME", ""), process.cwd()}
        if not {str(places.home), str(places.home.resolve())} & homes:
            return None
        _record(path, process)
    except (psutil.Error, ValueError):
        return None
    return process


def _record(path: Path, process: psutil.Process) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    content = {"pid": process.pid, "started": process.create_time()}
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(path)


def remove_pid(path: Path) -> None:
    """Forget this process, unless another one has taken over the file."""
    process = read_process(path)
    if process is None or process.pid == os.getpid():
        path.unlink(missing_ok=True)


def read_process(path: Path) -> psutil.Process | None:
    """The live process that a PID file names, or None: no file, or it is stale."""
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
        process = psutil.Process(int(recorded["pid"]))
        same = abs(process.create_time() - float(recorded["started"])) < _TOLERANCE
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
