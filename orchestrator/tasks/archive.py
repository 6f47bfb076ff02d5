"""Archives on the host: unpacked into a folder that is theirs, and packed from a folder.

A folder that an archive was unpacked into holds a marker that says of which; nothing else is ever
replaced or removed.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command, trees, unpacking
from orchestrator.tasks.outcome import Inverse, Outcome
from orchestrator.tasks.owners import read_owner
from orchestrator.tasks.placing import absolute, keep, look, read_mode
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from invoke.context import Context

MARKER = ".unpacked"
"""The file that tells which archive a folder was unpacked from."""
_SHOWN = 3
_STATE = (
    'if test -L "$1"; then echo other; elif test -d "$1"; then '
    'if test -f "$1/$2"; then cat -- "$1/$2"; '
    'elif test -z "$(ls -A -- "$1")"; then echo empty; else echo used; fi; '
    'elif test -e "$1"; then echo other; else echo nothing; fi'
)
# Links are looked at where they are: one that leads out of the folder is a fault.
_LEADS_OUT = (
    'cd -- "$1" || exit; root=$(pwd -P); find . -type l -exec sh -c '
    '\'root=$1; shift; for l; do t=$(readlink -f -- "$l"); '
    'case "$t" in "$root"|"$root"/*) ;; *) echo "$l";; esac; done\' sh "$root" {} +'
)
_FINISH = (
    'chmod -R u-s,g-s -- "$1"; printf "%s\\n" "$3" > "$1/$2"; chmod "$4" -- "$1"; '
    'test -z "$5" || chown -R -h -- "$5" "$1"'
)
_SWAP = (
    'if test -e "$2"; then mkdir -p -m 0700 -- "$(dirname -- "$3")"; mv -T -- "$2" "$3"; fi; '
    'mv -T -- "$1" "$2" || { test ! -e "$3" || mv -T -- "$3" "$2"; exit 1; }'
)


@task
def unpack(
    c: Context,
    path: str,
    dest: str,
    sha256: str = "",
    strip: int = 0,
    mode: str = "0755",
    owner: str = "",
) -> Outcome:
    """Unpack an archive of the host into a folder that holds nothing else.

    Args:
        c: the task's Context or Connection.
        path: an absolute path: ``.tar``, ``.tar.gz``, ``.tar.xz``, ``.tar.bz2``, ``.tar.zst`` or
            ``.zip``; bring it there with files.copy or http.download.
        dest: an absolute path; missing, empty, or unpacked by this task before.
        sha256: what the archive's digest has to be; empty: whatever it is.
        strip: leading folders to leave out of the members' names (tar only).
        mode: permission bits of ``dest``.
        owner: ``user``, ``user:group`` or ``:group`` of all in it; empty: whoever unpacks it.

    Raises:
        StepFailed: the archive is missing, another one, damaged, or would write outside ``dest``;
            or ``dest`` has files of someone else.
    """
    folder, where = absolute(dest), scope(c).host.name
    digest = _digest(c, absolute(path), sha256)
    marker = f"{digest} strip={int(strip)}"
    state = _state(c, folder)
    if state == marker:
        return Outcome(message="unchanged")
    if state in {"used", "other"}:
        raise StepFailed(
            f"{dest} is there and was not unpacked from an archive",
            where=where,
            hint="unpack into a folder that holds nothing else",
        )
    members = _members(c, path)
    told = f"{len(members)} members of {Path(path).name}"
    diff = f"- {dest}/ ({state[:12]})\n" * (state not in {"empty", "nothing"})
    diff += f"+ {dest}/ ({digest[:12]}, {len(members)} members)\n"
    if scope(c).check:
        return Outcome(changed=True, message=f"would unpack {told}", diff=diff)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    saved = scope(c).saved / f"{folder.name}.{secrets.token_hex(4)}"
    rights = [f"{read_mode(mode):04o}", read_owner(owner) if owner else ""]
    finish = [str(draft), MARKER, marker, *rights]
    argv = unpacking.unpack_argv(path, draft, strip)
    try:
        command.run(c, ["mkdir", "-p", "-m", "0700", "--", draft])
        command.run(c, argv)
        _refuse_links(c, draft, path)
        command.run(c, ["sh", "-ec", _FINISH, "sh", *finish])
        command.run(c, ["sh", "-ec", _SWAP, "sh", draft, folder, saved])
    finally:
        command.run(c, ["rm", "-rf", "--", draft], check=False)
    undo = _undo(dest, digest, state, saved)
    return Outcome(
        changed=True,
        message=f"unpacked {told}",
        diff=diff,
        outputs={"sha256": digest},
        undo=(undo,),
    )


@task
def put_back(c: Context, dest: str, sha256: str, saved: str = "") -> Outcome:
    """Take an unpacked archive away, and put back the folder that was there before.

    Args:
        c: the task's Context or Connection.
        dest: the folder; it goes only if the archive with this digest is still in it.
        sha256: of the archive.
        saved: where the folder before is; empty: there was none.

    Raises:
        StepFailed: something else is in the folder by now.
    """
    folder, state = absolute(dest), _state(c, absolute(dest))
    if state == "nothing" and not saved:
        return Outcome(message="unchanged")
    if state != "nothing" and not state.startswith(f"{sha256} "):
        raise StepFailed(
            f"{dest} holds something else by now", where=scope(c).host.name, hint="it is left"
        )
    if scope(c).check:
        return Outcome(changed=True, message="would be put back", diff=f"- {dest}/\n")
    command.run(c, ["rm", "-rf", "--", folder])
    if saved:
        command.run(c, ["mv", "-T", "--", absolute(saved), folder])
    return Outcome(changed=True, message="put back" if saved else "removed", diff=f"- {dest}/\n")


@task
def pack(c: Context, path: str, dest: str, mode: str = "0600") -> Outcome:
    """Pack what is in a folder of the host; the same content is the same archive.

    Args:
        c: the task's Context or Connection.
        path: the folder, an absolute path.
        dest: an absolute path outside of it: ``.tar``, ``.tar.gz``, ``.tar.xz``, ``.tar.bz2`` or
            ``.tar.zst``.
        mode: permission bits of the archive.

    Raises:
        StepFailed: there is no such folder, or the archive cannot be written.
    """
    source, archive, bits = absolute(path), absolute(dest), read_mode(mode)
    packer = unpacking.format_of(archive)
    if archive.is_relative_to(source):
        raise InvalidInput(f"{dest} is in the folder that it would be packed from")
    unpacking.pack_argv(source, "-", packer)
    if look(c, source).kind != "folder":
        raise StepFailed(f"{path} is not a folder that is there", where=scope(c).host.name)
    before = look(c, archive)
    if before.kind in {"folder", "other"}:
        raise StepFailed(f"{dest} is a {before.kind}, not a file", where=scope(c).host.name)
    old = trees.facts_of(c, archive)["sha256"]
    if scope(c).check:
        argv = unpacking.pack_argv(source, "-", packer)
        new = command.run(c, ["sh", "-c", '"$@" | sha256sum', "sh", *argv]).stdout[:64]
        if new == old and before.mode == bits:
            return Outcome(message="unchanged")
        return Outcome(changed=True, message="would be packed", diff=_told(dest, old, new))
    draft = archive.with_name(f".{secrets.token_hex(4)}.{archive.name}")
    try:
        command.run(c, ["mkdir", "-p", "--", archive.parent])
        argv = unpacking.pack_argv(source, draft, packer)
        command.run(c, ["sh", "-c", 'umask 077; exec "$@"', "sh", *argv])
        new = trees.facts_of(c, draft)["sha256"]
        if new == old and before.mode == bits and before.kind == "file":
            return Outcome(message="unchanged", outputs={"sha256": new})
        command.run(c, ["chmod", f"{bits:04o}", "--", draft])
        undo = keep(c, archive, before)
        command.run(c, ["mv", "-T", "--", draft, archive])
    finally:
        command.run(c, ["rm", "-f", "--", draft], check=False)
    return Outcome(
        changed=True,
        message="packed",
        diff=_told(dest, old, new),
        outputs={"sha256": new},
        undo=(undo,),
    )


def _digest(c: Context, path: Path, wanted: str) -> str:
    real = command.run(c, ["readlink", "-f", "--", path], check=False).stdout.removesuffix("\n")
    found = str(trees.facts_of(c, Path(real or path))["sha256"])
    if not found:
        raise StepFailed(f"{path} is not a file that is there", where=scope(c).host.name)
    if wanted and found != wanted.lower():
        raise StepFailed(
            f"{path} is not the archive that is meant: its SHA-256 is {found}",
            where=scope(c).host.name,
            hint="fetch it again, or correct sha256",
        )
    return found


def _state(c: Context, folder: Path) -> str:
    """``nothing``, ``empty``, ``used`` by others, ``other`` than a folder, or the marker."""
    return command.run(c, ["sh", "-c", _STATE, "sh", folder, MARKER]).stdout.strip()


def _members(c: Context, path: str) -> list[unpacking.Member]:
    # The C locale, so that names are escaped alike in both listings.
    names, kinds = (
        command.run(c, argv(path), env={"LC_ALL": "C"}, check=False)
        for argv in (unpacking.names_argv, unpacking.kinds_argv)
    )
    where = scope(c).host.name
    if not names or not kinds:
        told = " | ".join((names.stderr or names.stdout).strip().splitlines()[-2:])
        raise StepFailed(f"{path} cannot be unpacked: {told}", where=where)
    members = unpacking.read_members(names.stdout, kinds.stdout)
    _refuse(path, unpacking.faults_of(members), where)
    return members


def _refuse_links(c: Context, draft: Path, path: str) -> None:
    out = command.run(c, ["sh", "-c", _LEADS_OUT, "sh", draft]).stdout.splitlines()
    _refuse(path, [f"the link {link} leads out of the folder" for link in out], scope(c).host.name)


def _refuse(path: str, faults: list[str], where: str) -> None:
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise StepFailed(
            f"{path} is not safe to unpack: {'; '.join(faults[:_SHOWN])}{more}",
            where=where,
            hint="nothing was unpacked; look at it with tar -tv",
        )


def _undo(dest: str, digest: str, state: str, saved: Path) -> Inverse:
    arguments = {"dest": dest, "sha256": digest}
    if state != "nothing":
        arguments["saved"] = str(saved)
    return Inverse("archive.put_back", arguments)


def _told(dest: str, old: str, new: str) -> str:
    return f"- {dest} ({old[:12]})\n" * bool(old) + f"+ {dest} ({new[:12]})\n"
