"""The commands of apt as argument lists, and what apt and dpkg print. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

State = Literal["present", "absent", "latest"]
STATES: tuple[State, ...] = ("present", "absent", "latest")
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
_LOCK_SECONDS = 120
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?")
_VERSION = re.compile(r"[A-Za-z0-9.+:~-]+")
_CHANGE = re.compile(r"^(Inst|Remv|Purg) (\S+)(?: \[([^\]]+)\])?(?: \((\S+))?", re.MULTILINE)
_FORMAT = "${binary:Package}\t${Version}\t${db:Status-Status}\n"


@dataclass(frozen=True)
class Wanted:
    """A package as a step names it: ``tree`` or ``tree=2.1.0-1``."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.version}" if self.version else self.name


@dataclass(frozen=True)
class Change:
    """What apt is going to do with one package.

    Args:
        name: the package.
        old: the version that is there; empty: none.
        new: the version that will be there; empty: none.
    """

    name: str
    old: str
    new: str

    def __str__(self) -> str:
        if not self.old:
            return f"+ {self.name} {self.new}\n"
        if not self.new:
            return f"- {self.name} {self.old}\n"
        return f"  {self.name} {self.old} -> {self.new}\n"


def read_names(names: Iterable[str]) -> list[Wanted]:
    """Packages as a step names them.

    Raises:
        InvalidInput: one is not a package's name, such as an option of apt.
    """
    found = []
    for text in names:
        name, equals, version = str(text).partition("=")
        if not _NAME.fullmatch(name) or (equals and not _VERSION.fullmatch(version)):
            raise InvalidInput(
                f"{text!r} is not the name of a Debian package", hint="write name or name=version"
            )
        found.append(Wanted(name, version))
    if not found:
        raise InvalidInput("no package is named", hint="names: [tree]")
    return found


def query_argv(names: Sequence[str]) -> list[str]:
    """Ask dpkg for what is installed; it fails when one of them is not known to it."""
    return ["dpkg-query", "-W", "-f", _FORMAT, *(one.name for one in read_names(names))]


def installed_in(output: str) -> dict[str, str]:
    """Versions of installed packages in what ``query_argv`` prints, also without architecture."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        name, _, rest = line.partition("\t")
        version, _, status = rest.partition("\t")
        if status == "installed":
            found |= {name: version, name.partition(":")[0]: version}
    return found


def differing(names: Sequence[str], installed: Mapping[str, str], state: State) -> list[str]:
    """Those packages that apt has to be asked about."""
    wanted = read_names(names)
    if state == "latest":
        return [str(one) for one in wanted]
    if state == "absent":
        return [str(one) for one in wanted if one.name in installed]
    return [
        str(one)
        for one in wanted
        if one.name not in installed or (one.version and installed[one.name] != one.version)
    ]


def change_argv(
    names: Sequence[str],
    state: State,
    *,
    simulate: bool = False,
    recommends: bool = True,
    purge: bool = False,
) -> list[str]:
    """Install or remove packages, in one call; ``simulate`` only tells what it would do."""
    wanted = read_names(names)
    options = [
        "apt-get",
        *(["-s"] if simulate else ["-y", "-q"]),
        # The configuration that an operator edited stays; nobody is there to be asked.
        *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
        *("-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}"),
    ]
    if state == "absent":
        bare = [one.name for one in wanted]
        return [*options, "purge" if purge else "remove", "--", *bare]
    if any(one.version for one in wanted):
        options.append("--allow-downgrades")
    if not recommends:
        options.append("--no-install-recommends")
    return [*options, "install", "--", *map(str, wanted)]


def update_argv() -> list[str]:
    """Fetch the lists of packages."""
    return ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}", "update"]


def changes_in(output: str) -> list[Change]:
    """What a simulation says that it would do, by name."""
    found = {}
    for verb, name, old, new in _CHANGE.findall(output):
        found[name] = Change(name, old, new if verb == "Inst" else "")
    return [found[name] for name in sorted(found)]
