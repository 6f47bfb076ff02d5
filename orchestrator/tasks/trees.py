"""Whole folders and large files between the control machine and a task's host.

Looks at all of a folder's files on the host in a few commands, so that a tree that is there already
costs little. Knows nothing of the tasks that use it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from orchestrator.tasks import command
from orchestrator.tasks.outcome import Inverse, Outcome, PartlyDone
from orchestrator.tasks.owners import belongs_to
from orchestrator.tasks.placing import give, place
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed
from schemas.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from invoke.context import Context

_AT_ONCE = 200
"""Paths in one command: far below what an argument list may have."""
_CHUNK = 1024 * 1024
"""Bytes read in one command: as Base64 less than what is kept of a command's output."""
_EXECUTABLE = 0o111
_STATES = (
    'for p; do if test -L "$p"; then echo other; elif test -f "$p"; then '
    'echo "file $(sha256sum < "$p" | cut -c 1-64) $(stat -c "%a %u:%g %U:%G" -- "$p")"; '
    'elif test -d "$p"; then echo folder; elif test -e "$p"; then echo other; '
    "else echo nothing; fi; done"
)
_FACTS = (
    'test -e "$1" || test -L "$1" || exit 66; stat -c "%F|%s|%a|%U|%G|%Y" -- "$1" || exit; '
    'if test -L "$1"; then readlink -- "$1"; elif test -f "$1"; then sha256sum < "$1"; fi'
)
_PIECE = 'tail -c "+$2" -- "$1" | head -c "$3" | base64'
_NOTHING_THERE = 66


def is_folder(source: str) -> bool:
    """Whether a path of the control machine is a folder."""
    return Path(source).is_dir()


def read(source: str | Path) -> bytes:
    """A file of the control machine.

    Raises:
        StepFailed: it cannot be read.
    """
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise StepFailed(f"cannot read {source}: {error.strerror}") from None


def copy(
    c: Context, source: str, dest: Path, mode: int, *, owner: str = "", backup: bool = False
) -> Outcome:
    """Copy what is in a folder of the control machine into a folder of the host.

    Args:
        c: the task's Context or Connection.
        source: the folder; links in it are followed.
        dest: the folder there; made when it is missing.
        mode: permission bits of files; one that can be executed stays so, for whoever may read it.
        owner: of each file, and of each folder that is made.
        backup: leave files that are replaced beside the new ones.

    Raises:
        PartlyDone: a file could not be copied.
    """
    folders, files = contents(Path(source))
    states = _states(c, [dest / name for name in (*folders, *files)])
    done = _make_folders(c, [dest / name for name in folders], states, mode, owner)
    for name, file in files.items():
        try:
            content = read(file)
            bits = file_mode(mode, file)
            if is_copy(states[str(dest / name)], content, bits, owner):
                continue
            one = place(c, dest / name, content, bits, owner=owner, backup=backup)
        except PartlyDone as error:
            outcome = _joined(done, error.outcome)
            raise PartlyDone(error.message, outcome, where=error.where, hint=error.hint) from None
        except StepFailed as error:
            raise PartlyDone(error.message, done, where=error.where, hint=error.hint) from None
        done = _joined(done, one)
    if not done.changed:
        return Outcome(message="unchanged")
    told = f"{done.diff.count('+++ ')} of {len(files)} files"
    return replace(done, message=f"would copy {told}" if scope(c).check else f"{told} copied")


def contents(source: Path) -> tuple[list[str], dict[str, Path]]:
    """The folders and files of a tree by their path in it, sorted; the top is ``.``.

    Raises:
        StepFailed: a link in it leads back, and the tree has no end.
    """
    folders, files = [], {}
    for top, below, names in os.walk(source, followlinks=True):
        below.sort()
        here = Path(top)
        for link in (here / name for name in below if (here / name).is_symlink()):
            if here.resolve().is_relative_to(link.resolve()):
                raise StepFailed(f"the link {link} leads back to a folder that it is in")
        folders.append(str(here.relative_to(source)))
        files.update(
            {str((here / name).relative_to(source)): here / name for name in sorted(names)}
        )
    return folders, files


def file_mode(mode: int, file: Path) -> int:
    """The mode of a copy: executable for those who may read it, if the file itself is."""
    return mode | (mode & 0o444) >> 2 if file.stat().st_mode & _EXECUTABLE else mode


def is_copy(state: str, content: bytes, mode: int, owner: str) -> bool:
    """Whether a line of the host's answer tells of this content, mode and owner."""
    kind, digest, bits, numbers, names = [*state.split(" ", 4), "", "", "", ""][:5]
    return (
        kind == "file"
        and digest == hashlib.sha256(content).hexdigest()
        and int(bits, 8) == mode
        and (not owner or belongs_to(owner, numbers, names))
    )


def states_argv(paths: Sequence[str | PurePath]) -> list[str]:
    """What is at each path, a line each."""
    return ["sh", "-c", _STATES, "sh", *map(str, paths)]


def _states(c: Context, paths: Sequence[PurePath]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(paths), _AT_ONCE):
        some = [str(path) for path in paths[start : start + _AT_ONCE]]
        lines = command.run(c, states_argv(some)).stdout.splitlines()
        found.update(zip(some, lines, strict=True))
    return found


def _make_folders(
    c: Context, folders: list[Path], states: Mapping[str, str], mode: int, owner: str
) -> Outcome:
    new = []
    for folder in folders:
        state = states[str(folder)].split(" ", 1)[0]
        if state == "nothing":
            new.append(str(folder))
        elif state != "folder" and not command.run(c, ["test", "-d", str(folder)], check=False):
            raise StepFailed(f"{folder} is there and is not a folder", where=scope(c).host.name)
    if not new:
        return Outcome()
    undo = Inverse("files.remove_empty", {"paths": new[::-1]})
    done = Outcome(changed=True, diff="".join(f"+ {one}/\n" for one in new), undo=(undo,))
    if not scope(c).check:
        command.run(c, ["mkdir", "-p", "--", *new])
        # Who may read files may enter the folders they are in.
        bits = mode | 0o200 | (mode & 0o444) >> 2
        command.run(c, ["chmod", f"{bits:04o}", "--", *new])
        for path in new if owner else []:
            give(c, path, owner, done)
    return done


def _joined(one: Outcome, other: Outcome) -> Outcome:
    return Outcome(
        changed=one.changed or other.changed,
        diff=one.diff + other.diff,
        undo=one.undo + other.undo,
    )


def facts_of(c: Context, path: PurePath) -> dict[str, Any]:
    """What ``files.stat`` tells of a path.

    Raises:
        StepFailed: the host does not let one look.
    """
    answer = command.run(c, ["sh", "-c", _FACTS, "sh", path], check=False)
    if answer.exit_code == _NOTHING_THERE:
        return read_facts("")
    if not answer:
        raise StepFailed(
            f"cannot look at {path}: {answer.stderr.strip()}", where=scope(c).host.name
        )
    return read_facts(answer.stdout)


def read_facts(text: str) -> dict[str, Any]:
    """What the host's answer means; every key is always there."""
    facts: dict[str, Any] = dict.fromkeys(("size", "modified"), 0)
    facts |= dict.fromkeys(("kind", "mode", "owner", "group", "sha256", "target"), "")
    facts["exists"] = bool(text)
    if not text:
        return facts
    first, _, rest = text.partition("\n")
    kind, size, mode, owner, group, modified = first.split("|")
    kinds = {"directory": "folder", "symbolic link": "link"}
    kind = "file" if kind.startswith("regular") else kinds.get(kind, "other")
    facts |= {"kind": kind, "size": int(size), "mode": f"{int(mode, 8):04o}"}
    facts |= {"owner": owner, "group": group, "modified": int(modified)}
    if kind == "link":
        facts["target"] = rest.removesuffix("\n")
    elif kind == "file":
        facts["sha256"] = rest[:64]
    return facts


def piece_argv(path: str | PurePath, start: int, size: int) -> list[str]:
    """Some bytes of a file as Base64."""
    return ["sh", "-c", _PIECE, "sh", str(path), str(start + 1), str(size)]


def read_large(c: Context, path: PurePath, limit: int) -> bytes:
    """A file of the host, larger than one command's answer may be.

    Raises:
        StepFailed: it is no file, larger than ``limit`` bytes, or changes while it is read.
    """
    where = scope(c).host.name
    real = command.run(c, ["readlink", "-f", "--", path], check=False).stdout.removesuffix("\n")
    facts = facts_of(c, PurePath(real or path))
    if facts["kind"] != "file":
        raise StepFailed(f"{path} is not a file that is there", where=where)
    if facts["size"] > limit:
        raise StepFailed(
            f"{path} has {format_size(facts['size'])}, and {format_size(limit)} is the most",
            where=where,
            hint="write a larger max_size, or pack it first",
        )
    content = b"".join(_pieces(c, real, facts["size"]))
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise StepFailed(
            f"{path} changed while it was read, or cannot be read", where=where, hint="try again"
        )
    return content


def _pieces(c: Context, path: str, size: int) -> Iterator[bytes]:
    for start in range(0, size, _CHUNK):
        text = command.run(c, piece_argv(path, start, _CHUNK)).stdout
        yield base64.b64decode("".join(text.split()))
