"""Which processes on the host run from a folder, and their end."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from orchestrator.tasks import command

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePath

    from invoke.context import Context

# The folders come through standard input: as arguments they would be found in this very process.
_SEARCH = "grep -saoF -f - /proc/[0-9]*/cmdline"
# With -z a word is what stands between two NULs, and -x asks for the whole of it.
_NAMING = "grep -slzxF -f - /proc/[0-9]*/cmdline"
_PID = re.compile(r"/proc/(\d+)/cmdline")
_FOUND = re.compile(r"/proc/(\d+)/cmdline:(.*)")
_POLL = 0.05


def running_from(c: Context, folders: Iterable[PurePath]) -> dict[str, list[int]]:
    """The processes whose command line names something below a folder, by folder."""
    wanted = [f"{folder}/" for folder in folders]
    if not wanted:
        return {}
    answer = command.run(c, ["sh", "-c", _SEARCH], input="\n".join(wanted) + "\n", check=False)
    found: dict[str, list[int]] = {}
    for line in answer.stdout.splitlines():
        match = _FOUND.fullmatch(line)
        if match:
            found.setdefault(match[2].rstrip("/"), []).append(int(match[1]))
    return {folder: sorted(set(pids)) for folder, pids in found.items()}


def naming(c: Context, path: PurePath) -> list[int]:
    """The processes whose command line has this path as a whole word."""
    answer = command.run(c, ["sh", "-c", _NAMING], input=f"{path}\n", check=False)
    return sorted({int(pid) for pid in _PID.findall(answer.stdout)})


def is_running(c: Context, pid: int) -> bool:
    """Whether a process is there and is not merely waiting to be reaped."""
    state = command.run(c, ["cat", f"/proc/{pid}/stat"], check=False).stdout
    return bool(state) and state.rpartition(")")[2].split()[:1] != ["Z"]


def end(c: Context, pids: Iterable[int], grace: float) -> None:
    """End processes: ask them (SIGTERM), and after ``grace`` seconds stop asking (SIGKILL)."""
    left = list(pids)
    for signal, wait in (("TERM", grace), ("KILL", grace)):
        if not left:
            return
        command.run(c, ["kill", f"-{signal}", *map(str, left)], check=False)
        deadline = time.monotonic() + wait
        while left and time.monotonic() < deadline:
            left = [pid for pid in left if is_running(c, pid)]
            if left:
                time.sleep(_POLL)
