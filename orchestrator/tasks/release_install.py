"""Makes the folder of a release: a virtual environment with the locked packages and the wheel.

The folder is whole when ``release.json`` is in it, which is written last.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from orchestrator.tasks import command, processes
from orchestrator.tasks.release_record import Release, folder_of, now, write_release
from orchestrator.tasks.release_source import LOCK, WHEEL_FOLDER, Source, build_wheel
from orchestrator.tasks.scope import control_of, scope
from orchestrator.tasks.wheelhouse import uv_for
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from orchestrator.tasks.interpreter import Interpreter

_INSTALL_TIMEOUT = 1200.0
_GRACE = 5.0
# Renamed first, so that a removal that is cut short leaves nothing that looks like a release.
_REMOVE = (
    'cd -- "$1"; shift; rm -rf -- .removed-*; '
    'for n; do mv -T -- "$n" ".removed-$n"; done; rm -rf -- .removed-*'
)
_PROGRAMS = ("session-buddy", "mahavishnu")


def install(c: Context, source: Source, release: str, interpreter: Interpreter) -> Release:
    """Make a release from a source, in place of what may be left of an earlier try.

    Raises:
        StepFailed: a part of it failed; the folder is without ``release.json`` then.
    """
    folder = folder_of(c, release)
    with tempfile.TemporaryDirectory(prefix="sessionops-") as scratch:
        wheel = build_wheel(control_of(c), source, Path(scratch))
        tool = uv_for(c, source.lock, interpreter.path)
        clear(c, folder)
        kept = folder / WHEEL_FOLDER / wheel.name
        tool.run(venv_arguments(folder, interpreter.path), timeout=_INSTALL_TIMEOUT)
        command.write_file(c, kept, wheel.read_bytes(), 0o644)
    lock = folder / WHEEL_FOLDER / LOCK
    command.write_file(c, lock, source.lock, 0o644)
    tool.run(lock_arguments(folder, lock), timeout=_INSTALL_TIMEOUT)
    tool.run(wheel_arguments(folder, kept), timeout=_INSTALL_TIMEOUT)
    _try_programs(c, folder)
    # uv leaves a file that all may write to, and folders follow the umask of this shell.
    command.run(c, ["chmod", "-R", "go-w", "--", folder])
    made = Release(
        release,
        version=source.version,
        source=source.title,
        commit=source.commit,
        python=interpreter.version,
        schema_version=_schema_version(c, folder),
        created=now(),
        state="ready",
    )
    write_release(c, made)
    return made


def use_again(c: Context, failed: Release) -> Release | None:
    """A failed release made ready once more without touching its files, if a process needs them.

    That may be the service manager: it was started from this release, and outlived its failure.
    """
    if not processes.running_from(c, [folder_of(c, failed.id)]):
        return None
    ready = replace(failed, state="ready", reason="", failed_at="")
    write_release(c, ready)
    return ready


def venv_arguments(folder: PurePath, python: str) -> list[str]:
    """What uv is told to make the virtual environment."""
    return ["venv", "--no-project", "--python", python, str(folder)]


def lock_arguments(folder: PurePath, lock: PurePath) -> list[str]:
    """What uv is told to install the locked packages, each held to its hash."""
    pip = ["pip", "install", "--python", str(folder / "bin" / "python"), "--compile-bytecode"]
    return [*pip, "--require-hashes", "--requirements", str(lock)]


def wheel_arguments(folder: PurePath, wheel: PurePath) -> list[str]:
    """What uv is told to install the wheel itself, whose dependencies are there already."""
    pip = ["pip", "install", "--python", str(folder / "bin" / "python"), "--compile-bytecode"]
    return [*pip, "--no-deps", "--reinstall-package", "sessionops", str(wheel)]


def clear(c: Context, folder: PurePath) -> None:
    """Remove a folder of ``releases/``, after ending what still writes to it.

    A deploy that was killed leaves its installer behind, which goes on by itself.
    """
    found = processes.running_from(c, [folder])
    processes.end(c, found.get(str(folder), []), _GRACE)
    command.run(c, ["rm", "-rf", "--", folder])


def remove(c: Context, names: Sequence[str]) -> None:
    """Remove releases."""
    command.run(c, ["sh", "-ec", _REMOVE, "sh", scope(c).places.releases, *names])


def _try_programs(c: Context, folder: PurePath) -> None:
    for name in _PROGRAMS:
        answer = command.run(c, [folder / "bin" / name, "--version"], check=False)
        if not answer:
            lines = answer.stderr.strip().splitlines()
            raise StepFailed(
                f"{name} of the new release does not start: {lines[-1] if lines else 'no output'}",
                where=scope(c).host.name,
                hint=f"try it: {folder / 'bin' / name} --version",
            )


def _schema_version(c: Context, folder: PurePath) -> int:
    code = "from tracker.store.migrations import MIGRATIONS; print(MIGRATIONS[-1].version)"
    return int(command.run(c, [folder / "bin" / "python", "-c", code]).stdout)
