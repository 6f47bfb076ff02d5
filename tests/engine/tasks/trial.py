"""Tasks for the engine's own tests: small, visible on disk, each with its inverse."""

from __future__ import annotations

import os
import time
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from orchestrator.tasks import command
from orchestrator.tasks.outcome import Inverse, Outcome, PartlyDone
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed


@task
def put(c: Context, path: str, text: str = "x", mode: str = "0600") -> Outcome:
    """Write a file unless it says that already."""
    found = command.read_file(c, path)
    if found == text.encode():
        return Outcome(message="unchanged", outputs={"path": path})
    if not scope(c).check:
        command.write_file(c, path, text.encode(), int(mode, 8))
    undo = Inverse("trial.remove", {"path": path})
    return Outcome(True, f"wrote {path}", f"+{text}\n", {"path": path}, (undo,))


@task
def remove(c: Context, path: str) -> Outcome:
    """Remove a file; fails when it is gone."""
    command.run(c, ["rm", path])
    return Outcome(True, f"removed {path}")


@task
def note(c: Context, log: str, line: str) -> Outcome:
    """Add a line to a log; nothing takes it back."""
    with Path(log).open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")
    return Outcome(True)


@task
def fail(c: Context, message: str = "no") -> Outcome:
    """Fail."""
    raise StepFailed(message, hint="look closer")


@task
def half(c: Context, path: str) -> Outcome:
    """Write a file and then fail, telling what takes the file back."""
    command.write_file(c, path, b"half", 0o600)
    done = Outcome(True, undo=(Inverse("trial.remove", {"path": path}),))
    raise PartlyDone("broke down half way", done)


@task
def faulty(c: Context) -> Outcome:
    """A task with a fault of its own."""
    return Outcome(message=str(1 / 0))


@task
def die(c: Context) -> Outcome:
    """End this process as a power cut would."""
    os.kill(os.getpid(), 9)
    return Outcome()


@task
def linger(c: Context, seconds: float) -> Outcome:
    """Wait without a process of its own, as long as the step allows."""
    time.sleep(scope(c).remaining(seconds))
    return Outcome()


@task
def plain(c: Context, path: str) -> None:
    """An ordinary Invoke task that knows nothing of outcomes or check mode."""
    c.run(f"touch {path}")


@task
def counted(c: Context, number: int, names: list[str] | None = None) -> Outcome:
    """Say what came in, with its types."""
    return Outcome(message=f"{number!r} {names!r}")
