"""Puts content at a path on a task's host: looks first, keeps what was there, replaces it at once.

Every task that writes a file goes through it; it knows nothing of templates.
"""

from __future__ import annotations

import difflib
import hashlib
import secrets
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

from orchestrator.tasks import command
from orchestrator.tasks.outcome import Inverse, Outcome, PartlyDone
from orchestrator.tasks.owners import belongs_to, chown_argv, read_owner
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from invoke.context import Context

Kind = Literal["nothing", "file", "folder", "link", "other"]
_NOTHING_THERE = 66
_LARGE = 1024 * 1024
"""Bytes above which a file is compared by its digest: its text is no longer sent for a diff."""
_LOOK = 'test -e "$1" || test -L "$1" || exit 66; stat -c "%f %s %u:%g %U:%G" -- "$1"'
_KEEP = 'umask 077; mkdir -p -- "$(dirname -- "$2")"; cp -pP -- "$1" "$2"'


@dataclass(frozen=True)
class Found:
    """What is at a path. A link's mode is of no use and not compared.

    Args:
        kind: of what it is.
        mode: permission bits.
        owner: user and group by number: ``0:0``.
        names: the same by name: ``root:root``.
        size: in bytes.
    """

    kind: Kind
    mode: int = 0
    owner: str = ""
    names: str = ""
    size: int = 0

    def belongs_to(self, owner: str) -> bool:
        """Whether it has this owner; none wanted is always right."""
        return not owner or belongs_to(owner, self.owner, self.names)


def look(c: Context, path: str | PurePath) -> Found:
    """What is at a path on the host; links are not followed.

    Raises:
        StepFailed: the host does not let one look.
    """
    answer = command.run(c, ["sh", "-c", _LOOK, "sh", path], check=False)
    if answer.exit_code == _NOTHING_THERE:
        return Found("nothing")
    if not answer:
        raise StepFailed(
            f"cannot look at {path}: {answer.stderr.strip()}", where=scope(c).host.name
        )
    found, size, owner, names = answer.stdout.rstrip("\n").split(" ", 3)
    bits = int(found, 16)
    return Found(_kind(bits), stat.S_IMODE(bits), owner, names, int(size))


def _kind(bits: int) -> Kind:
    if stat.S_ISREG(bits):
        return "file"
    if stat.S_ISDIR(bits):
        return "folder"
    return "link" if stat.S_ISLNK(bits) else "other"


def read_mode(text: str) -> int:
    """Permission bits from text such as ``0640``.

    Raises:
        InvalidInput: not octal, or more than permission bits.
    """
    try:
        mode = int(str(text), 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:  # noqa: PLR2004 -- all the permission bits there are
        raise InvalidInput(
            f"{text!r} is not a file mode", hint='write permission bits in quotes: "0640"'
        )
    return mode


def place(
    c: Context,
    path: str | PurePath,
    content: bytes,
    mode: int,
    *,
    validate: str = "",
    owner: str = "",
    backup: bool = False,
) -> Outcome:
    """Make ``path`` a file with this content and mode.

    Args:
        c: the task's Context or Connection.
        path: where; a link there is replaced, not followed.
        content: all of it.
        mode: permission bits.
        validate: a command with ``{file}`` in it, run on the new file before it takes its place.
        owner: ``user``, ``user:group`` or ``:group``; empty: whoever the commands run as.
        backup: leave a copy of the file that is replaced beside it, named after the run.

    Raises:
        StepFailed: a folder is there, it cannot be written, or ``validate`` refuses the content.
    """
    here = scope(c)
    path, owner = PurePath(path), read_owner(owner) if owner else ""
    before = look(c, path)
    if before.kind in {"folder", "other"}:
        raise StepFailed(f"{path} is a {before.kind}, not a file", where=here.host.name)
    same, diff = _compared(c, path, before, content)
    rights = _rights(path, before, mode, owner)
    if before.kind == "file" and same and not rights:
        return Outcome(message="unchanged")
    diff += rights
    message = _told(content, new=before.kind == "nothing", same=same)
    if here.check:
        return Outcome(changed=True, message=f"would be {message}", diff=diff)
    if validate:
        _validate(c, path, content, mode, validate)
    undo = [keep(c, path, before)]
    outputs = {}
    if backup and before.kind == "file":
        outputs["backup"] = f"{path}.{here.run_id}.bak"
        command.run(c, ["cp", "-pP", "--", path, outputs["backup"]])
        undo.append(Inverse("files.remove", {"path": outputs["backup"]}))
    command.write_file(c, path, content, mode)
    done = Outcome(changed=True, message=message, diff=diff, outputs=outputs, undo=tuple(undo))
    if owner:
        give(c, path, owner, done)
    return done


def give(c: Context, path: str | PurePath, owner: str, done: Outcome) -> None:
    """Give a path an owner after something else was done to it.

    Raises:
        PartlyDone: it cannot be given; ``done`` is what was done already.
    """
    answer = command.run(c, chown_argv(owner, [path]), check=False)
    if not answer:
        raise PartlyDone(
            f"cannot give {path} to {owner}: {answer.stderr.strip()}",
            done,
            where=scope(c).host.name,
            hint="is there such a user? another owner needs root: sudo: true on the step",
        )


def _rights(path: PurePath, before: Found, mode: int, owner: str) -> str:
    """Lines that tell how mode and owner of a file change."""
    if before.kind != "file":
        return ""
    lines = ""
    if before.mode != mode:
        lines += f"mode of {path}: {before.mode:04o} -> {mode:04o}\n"
    if not before.belongs_to(owner):
        lines += f"owner of {path}: {before.names} -> {owner}\n"
    return lines


def _compared(c: Context, path: PurePath, before: Found, content: bytes) -> tuple[bool, str]:
    """Whether a path has this content, and how it differs."""
    if before.kind == "file" and before.size > _LARGE:
        answer = command.run(c, ["sh", "-c", 'sha256sum < "$1"', "sh", path])
        if answer.stdout[:64] == hashlib.sha256(content).hexdigest():
            return True, ""
        return False, f"{path}: {before.size} bytes -> {len(content)} bytes, too large to show\n"
    old = command.read_file(c, path) if before.kind != "nothing" else None
    return old == content, difference(path, old, content)


def _told(content: bytes, *, new: bool, same: bool) -> str:
    if new:
        lines = len(content.splitlines())
        return f"written, {lines} line{'' if lines == 1 else 's'}"
    return "given other rights" if same else "rewritten"


def keep(c: Context, path: str | PurePath, before: Found) -> Inverse:
    """Save what is at a path, content, mode and times, and say how to put it back."""
    if before.kind == "nothing":
        return Inverse("files.remove", {"path": str(path)})
    saved = scope(c).saved / f"{PurePath(path).name}.{secrets.token_hex(4)}"
    command.run(c, ["sh", "-c", _KEEP, "sh", path, saved])
    return Inverse("files.restore", {"path": str(path), "saved": str(saved)})


def _validate(c: Context, path: PurePath, content: bytes, mode: int, line: str) -> None:
    # In a folder of its own and under its own name: systemd-analyze goes by the file's name.
    folder = path.parent / f".new-{secrets.token_hex(4)}"
    draft = folder / path.name
    argv = [word.replace("{file}", str(draft)) for word in shlex.split(line)]
    try:
        command.write_file(c, draft, content, mode)
        answer = command.run(c, argv, check=False)
    finally:
        command.run(c, ["rm", "-rf", "--", folder])
    if not answer:
        told = (answer.stderr or answer.stdout).replace(f"{folder}/", "").strip().splitlines()
        raise StepFailed(
            f"{PurePath(argv[0]).name} refuses the new {path.name}: {' | '.join(told[-3:])}",
            where=scope(c).host.name,
            hint=f"{path} is as it was; correct the template or the settings",
        )


def difference(path: str | PurePath, old: bytes | None, new: bytes) -> str:
    """A unified diff; for content that is not text, only the sizes."""
    try:
        before, after = (old or b"").decode(), new.decode()
    except UnicodeDecodeError:
        return f"{path}: {len(old or b'')} bytes -> {len(new)} bytes, not text\n"
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        fromfile=str(path) if old is not None else "/dev/null",
        tofile=str(path),
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def absolute(path: str | PurePath) -> Path:
    """The path, if it is absolute: a host has no working folder that a step could mean.

    Raises:
        InvalidInput: it is relative.
    """
    if not PurePath(path).is_absolute():
        raise InvalidInput(
            f"{str(path)!r} is not an absolute path", hint="write it with {{ paths.<name> }} before"
        )
    return Path(path)
