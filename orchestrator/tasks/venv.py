"""Virtual environments: the commands of pip and uv on one, and what they list."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Literal

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from orchestrator.tasks.uv import QUIET, index_of_pip
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath

    from invoke.context import Context
    from packaging.requirements import Requirement

_FIND = (
    'command -v uv && exit; for one; do test -x "$one" && { printf "%s\\n" "$one"; exit; }; done; '
    "exit 1"
)


Action = Literal["make", "list", "install", "uninstall"]


def argv(
    tool: Literal["pip", "uv"],
    path: PurePath | str,
    action: Action,
    names: Sequence[str] = (),
    *,
    python: str = "python3",
    program: str = "uv",
) -> list[str]:
    """Act on an environment: with the pip that is in it, or with uv from outside.

    Args:
        tool: which of the two.
        path: the environment's folder.
        action: what to do; ``list`` prints JSON.
        names: the requirements for ``install``, the packages for ``uninstall``.
        python: the interpreter for ``make``.
        program: the path of uv.
    """
    inside = f"{path}/bin/python"
    if action == "make" and tool == "pip":
        return [python, "-m", "venv", str(path)]
    if action == "make":
        return [program, "venv", "--quiet", "--python", python, str(path)]
    if tool == "pip":
        words = [inside, "-m", "pip", "--disable-pip-version-check", "--no-input", action]
    else:
        words = [program, "pip", action, "--python", inside]
    if action == "list":
        return [*words, "--format", "json"]
    yes = ["--yes"] if tool == "pip" and action == "uninstall" else []
    return [*words, "--quiet", *yes, "--", *names]


def find_uv(c: Context) -> str:
    """The path of uv on the host.

    Raises:
        StepFailed: it has none.
    """
    here = scope(c)
    candidates = [str(here.places.current / "bin" / "uv")]
    if here.host.connection == "local":
        from uv import find_uv_bin

        candidates.append(str(find_uv_bin()))
    answer = command.run(c, ["sh", "-c", _FIND, "sh", *candidates], check=False)
    if not answer:
        raise StepFailed(
            "there is no uv on this host",
            where=here.host.name,
            hint=f"put it on the PATH, or use packages.pip (looked at {shlex.join(candidates)})",
        )
    return answer.stdout.splitlines()[0]


def uv_environment(c: Context) -> dict[str, str]:
    """Variables for uv; on this machine with the package index that pip knows."""
    index = index_of_pip(c) if scope(c).host.connection == "local" else {}
    return {**index, **QUIET}


def read_requirements(names: Sequence[str]) -> list[Requirement]:
    """Requirements as a step names them.

    Raises:
        InvalidInput: one is not a name with or without versions.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for text in names:
        try:
            one = Requirement(text)
        except InvalidRequirement:
            one = None
        if one is None or one.url or one.marker:
            raise InvalidInput(
                f"{text!r} is not the name of a Python package",
                hint="write a name, perhaps with versions: six>=1.16,<2",
            )
        found.append(one)
    if not found:
        raise InvalidInput("no package is named", hint="names: [six]")
    return found


def listed_in(output: str) -> dict[str, str]:
    """Versions by normalised name, as pip and uv list them."""
    from packaging.utils import canonicalize_name

    return {canonicalize_name(one["name"]): str(one["version"]) for one in json.loads(output)}


def needed(names: Sequence[str], listed: Mapping[str, str], *, absent: bool = False) -> list[str]:
    """What has to be installed, or removed.

    Raises:
        InvalidInput: not the name of a package.
    """
    from packaging.utils import canonicalize_name

    left = []
    for one in read_requirements(names):
        version = listed.get(canonicalize_name(one.name))
        if absent and version is not None:
            left.append(one.name)
        elif not absent and (
            version is None or not one.specifier.contains(version, prereleases=True)
        ):
            left.append(str(one))
    return left


def versions(names: Sequence[str], listed: Mapping[str, str]) -> dict[str, str]:
    """The versions of what is named; empty: it is not there."""
    from packaging.utils import canonicalize_name

    wanted = [one.name for one in read_requirements(names)]
    return {name: listed.get(canonicalize_name(name), "") for name in wanted}


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What was added, removed and replaced, a line each."""
    lines = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, ""), after.get(name, "")
        if old == new:
            continue
        lines += [f"- {name} {old}\n"] * bool(old) + [f"+ {name} {new}\n"] * bool(new)
    return "".join(lines)
