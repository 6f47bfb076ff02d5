"""What is in an archive, and whether it may be unpacked: names, links and kinds of its members.

Pure: builds the commands that list, unpack and pack, and judges what they answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

_ENDINGS = {
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".tar.xz": "xz",
    ".txz": "xz",
    ".tar.bz2": "bzip2",
    ".tar.zst": "zstd",
    ".tar": "",
    ".zip": "zip",
}
_OPTIONS = {"gzip": ["-z"], "xz": ["-J"], "bzip2": ["-j"], "zstd": ["--zstd"], "": []}
_PROGRAMS = {"gzip": "gzip -n", "xz": "xz", "bzip2": "bzip2", "zstd": "zstd -q"}
_KINDS = "-dlh"
"""Files, folders, symbolic and hard links; no devices, pipes or sockets."""


@dataclass(frozen=True)
class Member:
    """One member of an archive.

    Args:
        name: as the archive has it.
        kind: as ``ls -l`` shows it: ``-``, ``d``, ``l``; ``h`` for a hard link.
    """

    name: str
    kind: str


def format_of(path: str | PurePath) -> str:
    """The packer of an archive, by the ending of its name: ``zip``, or that of a tar; empty: none.

    Raises:
        InvalidInput: another ending.
    """
    for ending, packer in _ENDINGS.items():
        if str(path).endswith(ending):
            return packer
    raise InvalidInput(
        f"{str(path)!r} has not the name of an archive", hint=f"it ends with {', '.join(_ENDINGS)}"
    )


def names_argv(archive: str | PurePath) -> list[str]:
    """List the members' names, a line each."""
    packer = format_of(archive)
    if packer == "zip":
        return ["unzip", "-Z1", str(archive)]
    return ["tar", "-t", *_OPTIONS[packer], "-f", str(archive)]


def kinds_argv(archive: str | PurePath) -> list[str]:
    """List the members with their kind as the first character of a line each, in that order."""
    packer = format_of(archive)
    if packer == "zip":
        return ["unzip", "-Zs", str(archive)]
    return ["tar", "-tv", *_OPTIONS[packer], "-f", str(archive)]


def unpack_argv(archive: str | PurePath, folder: str | PurePath, strip: int = 0) -> list[str]:
    """Unpack into a folder that is there, as files of whoever does it.

    Raises:
        InvalidInput: zip archives are unpacked whole.
    """
    packer = format_of(archive)
    if packer == "zip":
        if strip:
            raise InvalidInput(
                "strip is for tar archives", hint="unpack it whole, and link into it"
            )
        return ["unzip", "-q", "-n", str(archive), "-d", str(folder)]
    cut = [f"--strip-components={strip}"] if strip else []
    own = ["--no-same-owner", "--no-same-permissions"]
    return ["tar", "-x", *_OPTIONS[packer], *own, *cut, "-f", str(archive), "-C", str(folder)]


def pack_argv(folder: str | PurePath, archive: str | PurePath, packer: str) -> list[str]:
    """Pack what is in a folder; the same content with the same times gives the same bytes.

    Args:
        folder: what is in it gets names without it.
        archive: where to; ``-`` for the standard output.
        packer: as ``format_of`` tells it.

    Raises:
        InvalidInput: it is a zip.
    """
    if packer == "zip":
        raise InvalidInput("zip archives are only unpacked", hint="name it .tar.gz or .tar.xz")
    through = ["-I", _PROGRAMS[packer]] if packer else []
    same = ["--format=gnu", "--sort=name", "--numeric-owner"]
    return ["tar", "-c", *same, *through, "-f", str(archive), "-C", str(folder), "."]


def read_members(names: str, kinds: str) -> list[Member]:
    """The members, from the two listings.

    Raises:
        InvalidInput: the listings do not fit each other.
    """
    listed = names.split("\n")[:-1] if names.endswith("\n") else names.split("\n")
    lines = [line for line in kinds.split("\n") if _is_member(line)]
    if len(lines) != len(listed):
        raise InvalidInput("the archive's list of members cannot be read")
    return [Member(name, line[0]) for name, line in zip(listed, lines, strict=True)]


def _is_member(line: str) -> bool:
    # A zip's listing has a head and a foot; the mode of a member is r, w, x or a dash.
    return len(line) > 10 and line[0] in "-dlhbcpsD?" and set(line[1:4]) <= set("rwxsStT-")  # noqa: PLR2004 -- a mode's length


def faults_of(members: Sequence[Member]) -> list[str]:
    """Why an archive must not be unpacked, a line for each member that is wrong."""
    links = {PurePosixPath(one.name) for one in members if one.kind == "l"}
    faults = []
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute():
            faults.append(f"{member.name} is an absolute path")
        elif ".." in path.parts:
            faults.append(f"{member.name} leads out of the folder")
        elif member.kind not in _KINDS:
            faults.append(f"{member.name} is no file, folder or link")
        elif links & set(path.parents):
            faults.append(f"{member.name} would be written through a link")
    return faults
