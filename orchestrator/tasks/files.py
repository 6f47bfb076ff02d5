"""Files and folders on the host: make, copy, link, edit, remove, fetch, put back what was saved.

The tasks of the collection are all here; what they share or compute is in placing, edits and trees.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command, edits, trees
from orchestrator.tasks.outcome import Inverse, Outcome, changes_nothing, records_no_undo
from orchestrator.tasks.owners import belongs_to, chown_argv, read_owner
from orchestrator.tasks.placing import absolute, give, keep, look, place, read_mode
from orchestrator.tasks.scope import control_of, scope
from schemas.errors import InvalidInput, StepFailed
from schemas.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import PurePath

    from invoke.context import Context

_STATES = (
    'for p; do if test -d "$p"; then echo "folder $(stat -c "%a %u:%g %U:%G" -- "$p")"; '
    'elif test -e "$p" || test -L "$p"; then echo other; else echo nothing; fi; done'
)


@task(iterable=["paths"])
def folders(c: Context, paths: Sequence[str], mode: str = "0700", owner: str = "") -> Outcome:
    """Make folders, with those above them, and give them this mode and owner.

    Args:
        c: the task's Context or Connection.
        paths: absolute paths.
        mode: permission bits of each.
        owner: ``user``, ``user:group`` or ``:group`` of each; empty: it stays, or is the login's.

    Raises:
        StepFailed: something else is there, or it cannot be made.
    """
    wanted, owner = read_mode(mode), read_owner(owner) if owner else ""
    listed = [str(absolute(path)) for path in _as_list(paths)]
    states = command.run(c, ["sh", "-c", _STATES, "sh", *listed]).stdout.splitlines()
    new, modes, owned, undo = [], [], [], []
    for path, state in zip(listed, states, strict=True):
        kind, bits, numbers, names = [*state.split(" ", 3), "", "", ""][:4]
        if kind == "other":
            raise StepFailed(f"{path} is there and is not a folder", where=scope(c).host.name)
        if kind == "nothing":
            new.append(path)
            continue
        if int(bits, 8) != wanted:
            modes.append(path)
            undo.append(Inverse("files.mode", {"path": path, "mode": f"{int(bits, 8):04o}"}))
        if owner and not belongs_to(owner, numbers, names):
            owned.append(path)
            undo.append(Inverse("files.owner", {"path": path, "owner": numbers}))
    if not new and not modes and not owned:
        return Outcome(message="unchanged")
    if new:
        inner_first = sorted(new, key=lambda path: -path.count("/"))
        undo.append(Inverse("files.remove_empty", {"paths": inner_first}))
    diff = "".join(f"+ {path}/\n" for path in new)
    diff += "".join(f"mode of {path}: -> {wanted:04o}\n" for path in modes)
    diff += "".join(f"owner of {path}: -> {owner}\n" for path in owned)
    told = [f"{len(new)} made"] * bool(new) + [f"{len(modes)} given another mode"] * bool(modes)
    told += [f"{len(owned)} given another owner"] * bool(owned)
    done = Outcome(changed=True, message=", ".join(told), diff=diff, undo=tuple(undo))
    if not scope(c).check:
        _make_folders(c, new, f"{wanted:04o}", [*new, *modes])
        for path in [*new, *owned] if owner else []:
            give(c, path, owner, done)
    return done


def _make_folders(c: Context, new: list[str], mode: str, paths: list[str]) -> None:
    if new:
        command.run(c, ["mkdir", "-p", "--", *new])
    if paths:
        command.run(c, ["chmod", mode, "--", *paths])


@task(iterable=["paths"])
@records_no_undo
def remove_empty(c: Context, paths: Sequence[str]) -> Outcome:
    """Remove those of these folders that nothing is in, one after the other."""
    listed = [str(absolute(path)) for path in _as_list(paths)]
    script = 'for p; do test -d "$p" && rmdir -- "$p" 2>/dev/null && echo gone || echo kept; done'
    if scope(c).check:
        return Outcome(message="would be removed if they are empty")
    states = command.run(c, ["sh", "-c", script, "sh", *listed]).stdout.splitlines()
    gone = [path for path, state in zip(listed, states, strict=True) if state == "gone"]
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
def owner(c: Context, path: str, owner: str) -> Outcome:
    """Give a file, folder or link this owner: ``user``, ``user:group`` or ``:group``."""
    wanted, found = read_owner(owner), look(c, absolute(path))
    if found.kind == "nothing":
        raise StepFailed(f"{path} does not exist", where=scope(c).host.name)
    if found.belongs_to(wanted):
        return Outcome(message="unchanged")
    told = f"{found.names} -> {wanted}"
    if not scope(c).check:
        command.run(c, chown_argv(wanted, [path]))
    undo = Inverse("files.owner", {"path": path, "owner": found.owner})
    return Outcome(changed=True, message=told, diff=f"owner of {path}: {told}\n", undo=(undo,))


@task
def copy(
    c: Context, source: str, dest: str, mode: str = "0644", owner: str = "", backup: bool = False
) -> Outcome:
    """Copy a file or a folder with all in it from the control machine to the host.

    Args:
        c: the task's Context or Connection.
        source: a path on the control machine; of a folder, what is in it goes into ``dest``, and
            what is only in ``dest`` stays.
        dest: an absolute path on the host.
        mode: permission bits of each file; files of a folder that can be executed stay so.
        owner: ``user``, ``user:group`` or ``:group``; empty: whoever the commands run as.
        backup: leave a file that is replaced beside it, as ``<file>.<run>.bak``.

    Raises:
        StepFailed: the source cannot be read, or the copy cannot be written.
    """
    bits = read_mode(mode)
    if trees.is_folder(source):
        return trees.copy(c, source, absolute(dest), bits, owner=owner, backup=backup)
    content = trees.read(source)
    return place(c, absolute(dest), content, bits, owner=owner, backup=backup)


@task
def fetch(c: Context, path: str, dest: str, mode: str = "0600", max_size: str = "64MB") -> Outcome:
    """Fetch a file of the host to the control machine.

    Args:
        c: the task's Context or Connection.
        path: an absolute path on the host; a link there is followed.
        dest: an absolute path on the control machine; with ``{{ host.name }}`` in it when there
            are several hosts.
        mode: permission bits of the copy.
        max_size: a larger file is refused.

    Raises:
        StepFailed: it is not there, cannot be read, or is larger.
    """
    content = trees.read_large(c, absolute(path), parse_size(max_size))
    outcome = place(control_of(c), absolute(dest), content, read_mode(mode))
    # The inverse is done for a step on the host as well, and has to know whose file it is.
    undo = tuple(Inverse(one.task, {**one.arguments, "control": True}) for one in outcome.undo)
    return replace(outcome, undo=undo, outputs={"dest": dest, "size": len(content)})


@task
@changes_nothing
def stat(c: Context, path: str) -> Outcome:
    """Look at a path: outputs exists, kind, size, mode, owner, group, modified, sha256, target.

    Args:
        c: the task's Context or Connection.
        path: an absolute path on the host; a link there is not followed.
    """
    outputs = trees.facts_of(c, absolute(path))
    told = f"{outputs['kind']}, {outputs['size']} bytes" if outputs["exists"] else "nothing there"
    return Outcome(message=told, outputs=outputs)


@task
def line(
    c: Context,
    path: str,
    line: str = "",
    match: str = "",
    after: str = "",
    before: str = "",
    absent: bool = False,
    mode: str = "",
    validate: str = "",
    backup: bool = False,
) -> Outcome:
    """See that a line is in a text file, or that it is not.

    Args:
        c: the task's Context or Connection.
        path: an absolute path on the host; of a link, the file it leads to.
        line: all of the line.
        match: a regular expression; the last line that it finds becomes ``line``, with ``absent``
            every line that it finds goes.
        after: a regular expression; a new line comes after the last line that it finds.
        before: a regular expression; a new line comes before the first line that it finds.
        absent: take the line out.
        mode: permission bits with which a file that is missing is made; empty: it has to be there.
        validate: a command with ``{file}`` in it that must accept the new file first.
        backup: leave the file that is replaced beside it, as ``<file>.<run>.bak``.

    Raises:
        StepFailed: there is no such file, or ``validate`` refuses the new one.
    """
    if absent:
        return _edit(c, path, lambda text: edits.drop_line(text, line, match), "", validate, backup)

    def put(text: str) -> str:
        return edits.put_line(text, line, match, after, before)

    return _edit(c, path, put, mode, validate, backup)


@task
def block(
    c: Context,
    path: str,
    name: str,
    content: str = "",
    comment: str = "#",
    after: str = "",
    absent: bool = False,
    mode: str = "",
    validate: str = "",
    backup: bool = False,
) -> Outcome:
    """See that a block of lines is in a text file, between two lines that mark it.

    Args:
        c: the task's Context or Connection.
        path: an absolute path on the host; of a link, the file it leads to.
        name: of the block; a file can have several.
        content: the lines.
        comment: what starts a comment in such a file.
        after: a regular expression; a new block comes after the last line that it finds.
        absent: take the block out, with its marks.
        mode: permission bits with which a file that is missing is made; empty: it has to be there.
        validate: a command with ``{file}`` in it that must accept the new file first.
        backup: leave the file that is replaced beside it, as ``<file>.<run>.bak``.

    Raises:
        StepFailed: there is no such file, or ``validate`` refuses the new one.
    """
    if not absent and not content:
        raise InvalidInput("the block has no content", hint="absent: true takes a block out")
    begin, end = (f"{comment} {word} {name}" for word in ("BEGIN", "END"))

    def put(text: str) -> str:
        return edits.put_block(text, "" if absent else content, begin, end, after)

    return _edit(c, path, put, "" if absent else mode, validate, backup)


@task(name="replace")
def replace_text(
    c: Context,
    path: str,
    pattern: str,
    replacement: str,
    validate: str = "",
    backup: bool = False,
) -> Outcome:
    r"""Replace each place of a text file that a regular expression finds.

    Args:
        c: the task's Context or Connection.
        path: an absolute path on the host; of a link, the file it leads to.
        pattern: a regular expression; ``^`` and ``$`` are a line's.
        replacement: may name its groups: ``\1``, ``\g<name>``.
        validate: a command with ``{file}`` in it that must accept the new file first.
        backup: leave the file that is replaced beside it, as ``<file>.<run>.bak``.

    Raises:
        InvalidInput: a second run would change the file again.
        StepFailed: there is no such file, or ``validate`` refuses the new one.
    """
    return _edit(
        c, path, lambda text: edits.replace(text, pattern, replacement), "", validate, backup
    )


def _edit(
    c: Context, path: str, change: Callable[[str], str], mode: str, validate: str, backup: bool
) -> Outcome:
    """Change the text of a file, which keeps its mode and owner; ``mode``: of a missing one."""
    real, found = str(absolute(path)), look(c, path)
    if found.kind == "link":
        real = command.run(c, ["readlink", "-f", "--", path]).stdout.removesuffix("\n")
        found = look(c, real)
    if found.kind == "nothing" and not mode:
        try:
            if change("") == "":
                return Outcome(message="unchanged")
        except InvalidInput as error:
            raise InvalidInput(error.message, where=path, hint=error.hint) from None
        raise StepFailed(
            f"{path} does not exist",
            where=scope(c).host.name,
            hint='write mode: "0644" to have it made',
        )
    old = command.read_file(c, real) if found.kind == "file" else b""
    # What is not UTF-8 stays as it is.
    text = (old or b"").decode(errors="surrogateescape")
    try:
        new = change(text)
    except InvalidInput as error:
        raise InvalidInput(error.message, where=path, hint=error.hint) from None
    if new == text:
        return Outcome(message="unchanged")
    bits = read_mode(mode) if found.kind == "nothing" else found.mode
    content = new.encode(errors="surrogateescape")
    return place(c, real, content, bits, validate=validate, owner=found.owner, backup=backup)


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
        old = command.run(c, ["readlink", "--", path]).stdout.removesuffix("\n")
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
def remove(c: Context, path: str, control: bool = False) -> Outcome:
    """Remove a file or link; a folder is not removed.

    Args:
        c: the task's Context or Connection.
        path: an absolute path.
        control: it is on the control machine.

    Raises:
        StepFailed: a folder is there.
    """
    c = control_of(c) if control else c
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
def restore(c: Context, path: str, saved: str, control: bool = False) -> Outcome:
    """Put back what an earlier step saved, with its mode and times.

    Args:
        c: the task's Context or Connection.
        path: where it was.
        saved: where its copy is.
        control: both are on the control machine.

    Raises:
        StepFailed: the saved copy is gone.
    """
    c = control_of(c) if control else c
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
