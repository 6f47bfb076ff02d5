"""Files and folders on the host: make, copy, link, remove, put back what was saved."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command
from orchestrator.tasks.outcome import Inverse, Outcome, records_no_undo
from orchestrator.tasks.placing import absolute, keep, look, place, read_mode
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from invoke.context import Context

_STATES = (
    'for p; do if test -d "$p"; then echo "folder $(stat -c %a -- "$p")"; '
    'elif test -e "$p" || test -L "$p"; then echo other; else echo nothing; fi; done'
)


@task(iterable=["paths"])
def folders(c: Context, paths: Sequence[str], mode: str = "0700") -> Outcome:
    """Make folders, with those above them, and give them this mode.

    Args:
        c: the task's Context or Connection.
        paths: absolute paths.
        mode: permission bits of each.

    Raises:
        StepFailed: something else is there, or it cannot be made.
    """
    wanted = read_mode(mode)
    listed = [str(absolute(path)) for path in _as_list(paths)]
    states = command.run(c, ["sh", "-c", _STATES, "sh", *listed]).stdout.splitlines()
    new, undo = [], []
    for path, state in zip(listed, states, strict=True):
        kind, _, bits = state.partition(" ")
        if kind == "other":
            raise StepFailed(f"{path} is there and is not a folder", where=scope(c).host.name)
        if kind == "nothing":
            new.append(path)
        elif int(bits, 8) != wanted:
            undo.append(Inverse("files.mode", {"path": path, "mode": f"{int(bits, 8):04o}"}))
    modes = [str(inverse.arguments["path"]) for inverse in undo]
    if not new and not modes:
        return Outcome(message="unchanged")
    if not scope(c).check:
        if new:
            command.run(c, ["mkdir", "-p", "--", *new])
        command.run(c, ["chmod", f"{wanted:04o}", "--", *new, *modes])
        undo += [Inverse("files.remove_empty", {"paths": new[::-1]})] * bool(new)
    diff = "".join(f"+ {path}/\n" for path in new)
    diff += "".join(f"mode of {path}: -> {wanted:04o}\n" for path in modes)
    told = [f"{len(new)} made"] * bool(new) + [f"{len(modes)} given another mode"] * bool(modes)
    return Outcome(changed=True, message=", ".join(told), diff=diff, undo=tuple(undo))


@task(iterable=["paths"])
@records_no_undo
def remove_empty(c: Context, paths: Sequence[str]) -> Outcome:
    """Remove those of these folders that nothing is in, one after the other."""
    listed = [str(absolute(path)) for path in _as_list(paths)]
    script = 'for p; do if test -d "$p" && rmdir -- "$p" 2>/dev/null; then echo "$p"; fi; done'
    if scope(c).check:
        return Outcome(message="would be removed if they are empty")
    gone = command.run(c, ["sh", "-c", script, "sh", *listed]).stdout.splitlines()
    told = f"{len(gone)} removed, {len(listed) - len(gone)} kept"
    return Outcome(changed=bool(gone), message=told, diff="".join(f"- {path}/\n" for path in gone))


@task
def mode(c: Context, path: str, mode: str) -> Outcome:
    """Give a file or folder this mode."""
    wanted, found = read_mode(mode), look(c, absolute(path))
    if found.kind == "nothing":
        raise StepFailed(f"{path} does not exist", where=scope(c).host.name)
    if found.mode == wanted:
        return Outcome(message="unchanged")
    told = f"{found.mode:04o} -> {wanted:04o}"
    if not scope(c).check:
        command.run(c, ["chmod", f"{wanted:04o}", "--", path])
    undo = Inverse("files.mode", {"path": path, "mode": f"{found.mode:04o}"})
    return Outcome(changed=True, message=told, diff=f"mode of {path}: {told}\n", undo=(undo,))


@task
def copy(c: Context, source: str, dest: str, mode: str = "0644") -> Outcome:
    """Copy a file of the control machine to the host.

    Args:
        c: the task's Context or Connection.
        source: a path on the control machine.
        dest: an absolute path on the host.
        mode: permission bits of the copy.

    Raises:
        StepFailed: the source cannot be read, or the copy cannot be written.
    """
    try:
        with open(source, "rb") as file:  # noqa: PTH123 -- the control machine's own file
            content = file.read()
    except OSError as error:
        raise StepFailed(f"cannot read {source}: {error.strerror}") from None
    return place(c, absolute(dest), content, read_mode(mode))


@task
def link(c: Context, path: str, target: str) -> Outcome:
    """Make ``path`` a symbolic link to ``target``, in one rename.

    Raises:
        StepFailed: a folder is there.
    """
    found = look(c, absolute(path))
    if found.kind == "folder":
        raise StepFailed(f"{path} is a folder, not a link", where=scope(c).host.name)
    old = ""
    if found.kind == "link":
        old = command.run(c, ["readlink", "--", path]).stdout.rstrip("\n")
        if old == target:
            return Outcome(message="unchanged")
    diff = f"- {path} -> {old}\n" * bool(old) + f"+ {path} -> {target}\n"
    if scope(c).check:
        return Outcome(changed=True, message="would be linked", diff=diff)
    undo = keep(c, path, found)
    set_link(c, path, target)
    return Outcome(changed=True, message=f"-> {target}", diff=diff, undo=(undo,))


def set_link(c: Context, path: str | PurePath, target: str | PurePath) -> None:
    """Point a link somewhere; at each moment it points to the old or to the new target."""
    draft = f"{path}.{secrets.token_hex(4)}.tmp"
    command.run(c, ["ln", "-s", "--", target, draft])
    command.run(c, ["mv", "-T", "--", draft, path])


@task
def remove(c: Context, path: str) -> Outcome:
    """Remove a file or link; a folder is not removed.

    Raises:
        StepFailed: a folder is there.
    """
    found = look(c, absolute(path))
    if found.kind == "nothing":
        return Outcome(message="unchanged")
    if found.kind == "folder":
        raise StepFailed(f"{path} is a folder", where=scope(c).host.name, hint="it is not removed")
    if scope(c).check:
        return Outcome(changed=True, message="would be removed", diff=f"- {path}\n")
    undo = keep(c, path, found)
    command.run(c, ["rm", "-f", "--", path])
    return Outcome(changed=True, message="removed", diff=f"- {path}\n", undo=(undo,))


@task
def restore(c: Context, path: str, saved: str) -> Outcome:
    """Put back what an earlier step saved, with its mode and times.

    Raises:
        StepFailed: the saved copy is gone.
    """
    if look(c, absolute(saved)).kind == "nothing":
        raise StepFailed(
            f"the saved copy of {path} is gone", where=scope(c).host.name, hint=f"it was {saved}"
        )
    if scope(c).check:
        return Outcome(changed=True, message="would be put back")
    undo = keep(c, path, look(c, absolute(path)))
    draft = f"{path}.{secrets.token_hex(4)}.tmp"
    command.run(c, ["cp", "-pP", "--", saved, draft])
    command.run(c, ["mv", "-T", "--", draft, path])
    return Outcome(changed=True, message="put back", undo=(undo,))


def _as_list(value: Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
