"""Which release on the host serves a content, and where a new one of it would go.

What runs is never rebuilt: a virtual environment cannot be moved, so a second release of the same
content gets a folder beside the first, ``<id>.2``. Knows nothing of how a release is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.tasks import command, processes
from orchestrator.tasks.release_history import history
from orchestrator.tasks.release_record import (
    Release,
    current_release,
    folder_of,
    now,
    releases,
    write_release,
)
from orchestrator.tasks.release_source import WHEEL_FOLDER
from orchestrator.tasks.scope import scope

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

# Each package's RECORD lists its files. Sizes are compared for code only: what else a site edits,
# such as a bundle of certificates, does not make a release ill. Byte code may be cleared away.
_PROBE = """
import csv, glob, os, sysconfig
site = sysconfig.get_path("purelib")
records = glob.glob(os.path.join(glob.escape(site), "*.dist-info", "RECORD"))
if not any(os.path.basename(os.path.dirname(r)).startswith("sessionops-") for r in records):
    print("sessionops is missing")
for record in records:
    with open(record, newline="") as lines:
        for name, _, size in csv.reader(lines):
            if name.endswith(".pyc"):
                continue
            try:
                there = os.stat(os.path.join(site, name)).st_size
            except OSError:
                print(name, "is missing")
                continue
            if size and there != int(size) and name.endswith((".py", ".so")):
                print(name, "has another size")
"""


@dataclass(frozen=True)
class Choice:
    """What is there for a content.

    Args:
        name: the folder that a new release of it would get.
        ready: the release to use as it is.
        failed: one that failed, is whole, and still has processes that need it.
        note: for a person: why those that are there are not used; empty: there are none.
        damaged: those that say they are ready and are not whole.
    """

    name: str
    ready: Release | None = None
    failed: Release | None = None
    note: str = ""
    damaged: tuple[Release, ...] = ()


def choose(c: Context, content: str) -> Choice:
    """The release for a content: the one in use before the newest other, if it is whole.

    Args:
        c: the task's Context or Connection.
        content: the id that ``Source.release_id`` gives it.
    """
    pattern = re.compile(re.escape(content) + r"(?:\.\d+)?")
    current = current_release(c)
    there = [release for release in releases(c) if pattern.fullmatch(release.id)]
    failed, notes, damaged = None, [], []
    for release in sorted(there, key=lambda release: release.id != current):
        fault = fault_of(c, release) if release.state != "incomplete" else ""
        if release.state == "ready" and not fault:
            return Choice(release.id, ready=release)
        if release.state == "failed":
            notes.append(f"{release.id} failed at {release.failed_at}: {release.reason}")
            failed = failed or (None if fault else release)
        elif fault:
            notes.append(f"{release.id} is damaged: {fault}")
            damaged.append(release)
    note = "; " + "; ".join(notes) if notes else ""
    name = _free_name(c, content, {release.id for release in there}, current)
    return Choice(name, failed=failed, note=note, damaged=tuple(damaged))


def fault_of(c: Context, release: Release) -> str:
    """What is missing in a release; empty when it is whole."""
    python = folder_of(c, release.id) / "bin" / "python"
    answer = command.run(c, [python, "-I", "-B", "-c", _PROBE], check=False)
    if not answer:
        return "its Python does not start"
    faults = answer.stdout.splitlines()
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"{faults[0]}{more}" if faults else ""


def wheel_kept(c: Context, release: Release) -> Path | None:
    """The wheel that a release of this machine was made from, if it is there."""
    if scope(c).host.connection != "local":
        return None
    return next((folder_of(c, release.id) / WHEEL_FOLDER).glob("*.whl"), None)


def mark_damaged(c: Context, choice: Choice) -> None:
    """Mark what was found damaged as failed, so that no rollback chooses it."""
    for release in choice.damaged:
        if release.id != choice.name:
            ill = replace(release, state="failed", reason="it is damaged", failed_at=now())
            write_release(c, ill)


def _free_name(c: Context, content: str, there: set[str], current: str | None) -> str:
    names = [content, *(f"{content}.{number}" for number in range(2, len(there) + 3))]
    return next(name for name in names if name not in there or not _in_use(c, name, current))


def _in_use(c: Context, name: str, current: str | None) -> bool:
    """Whether servers run from a release, or their manager does.

    One that was never switched to can only have the installer of a killed deploy running.
    """
    if name == current:
        return True
    activated = {entry.release for entry in history(c)}
    return name in activated and bool(processes.running_from(c, [folder_of(c, name)]))
