"""Packages on the host: of the system with apt, of Python in a virtual environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from invoke.tasks import task

from orchestrator.tasks import apt as debian
from orchestrator.tasks import command, venv
from orchestrator.tasks.outcome import Inverse, Outcome
from orchestrator.tasks.placing import absolute, look
from orchestrator.tasks.rights import need_root
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed
from schemas.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from invoke.context import Context

_NOT_FOUND = 127
_AGE = 'test -d "$1" && expr $(date +%s) - $(stat -c %Y -- "$1")'
_LISTS = "/var/lib/apt/lists"


@task(iterable=["names"])
def apt(
    c: Context,
    names: Sequence[str],
    state: str = "present",
    lists_newer_than: str = "",
    recommends: bool = True,
    purge: bool = False,
    only_these: bool = False,
) -> Outcome:
    """Have Debian packages installed, at their newest version, or removed, in one call of apt.

    Configuration files that somebody edited stay as they are. The undo removes what was installed,
    dependencies too, and installs what was removed or replaced in its old version, as long as the
    package archive has that one.

    Args:
        c: the task's Context or Connection.
        names: packages, ``tree`` or ``tree=2.1.0-1``.
        state: ``present``, ``latest`` or ``absent``.
        lists_newer_than: fetch the lists of packages first when they are older, such as ``24h``.
        recommends: with what the packages recommend.
        purge: when removed, with their configuration files; these do not come back by the undo.
        only_these: refuse when apt would remove any other package on the way.

    Outputs:
        changed: what was installed, replaced or removed, one a line.

    Raises:
        InvalidInput: not the name of a package, or another state.
        StepFailed: not root, no apt, no such package.
    """
    wanted, mode = _as_list(names), _state(state)
    answer = command.run(c, debian.query_argv(wanted), env=debian.ENVIRONMENT, check=False)
    if answer.exit_code == _NOT_FOUND:
        raise StepFailed(
            "there is no apt on this host",
            where=scope(c).host.name,
            hint="packages.apt is for Debian and what is made from it",
        )
    left = debian.differing(wanted, debian.installed_in(answer.stdout), mode)
    if not left:
        return Outcome(message="unchanged")
    if not scope(c).check:
        need_root(c, "changing packages")
        _fetch_lists(c, lists_newer_than)
    changes = _simulated(c, debian.change_argv(left, mode, simulate=True, recommends=recommends))
    if not changes:
        return Outcome(message="unchanged")
    named = {one.name.partition(":")[0] for one in debian.read_names(wanted)}
    removed = [one.name.partition(":")[0] for one in changes if not one.new]
    others = [name for name in removed if name not in named]
    if only_these and others:
        raise StepFailed(
            f"apt would also remove {', '.join(others)}",
            where=scope(c).host.name,
            hint="something needs these packages by now; see with: apt-get -s remove",
        )
    diff = "".join(map(str, changes))
    outputs = {"changed": diff.splitlines()}
    told = f"{len(changes)} package{'' if len(changes) == 1 else 's'}"
    if scope(c).check:
        return Outcome(True, f"would change {told}", diff, outputs)
    argv = debian.change_argv(left, mode, recommends=recommends, purge=purge)
    command.run(c, argv, env=debian.ENVIRONMENT)
    return Outcome(True, f"{told} changed", diff, outputs, _undo_apt(changes))


def _state(state: str) -> debian.State:
    for one in debian.STATES:
        if one == state:
            return one
    raise InvalidInput(
        f"{state!r} is not a state of packages", hint=f"write {', '.join(debian.STATES)}"
    )


def _fetch_lists(c: Context, newer_than: str) -> None:
    if not newer_than:
        return
    age = command.run(c, ["sh", "-c", _AGE, "sh", _LISTS], check=False).stdout.strip()
    if not age or int(age) > parse_duration(newer_than):
        command.run(c, debian.update_argv(), env=debian.ENVIRONMENT)


def _simulated(c: Context, argv: Sequence[str]) -> list[debian.Change]:
    answer = command.run(c, argv, env=debian.ENVIRONMENT, check=False)
    if not answer:
        lines = [line for line in answer.stderr.splitlines() if line.startswith("E: ")]
        raise StepFailed(
            f"apt cannot do that: {' | '.join(line[3:] for line in lines[:3])}",
            where=scope(c).host.name,
            hint="lists_newer_than: 24h has it fetch the lists of packages first",
        )
    return debian.changes_in(answer.stdout)


def _undo_apt(changes: Sequence[debian.Change]) -> tuple[Inverse, ...]:
    new = [one.name for one in changes if not one.old]
    old = [f"{one.name}={one.old}" for one in changes if one.old]
    undo = []
    if old:
        undo.append(Inverse("packages.apt", {"names": old}))
    if new:
        arguments = {"names": new, "state": "absent", "only_these": True}
        undo.append(Inverse("packages.apt", arguments))
    return tuple(undo)


@task(iterable=["names"])
def pip(
    c: Context, names: Sequence[str], path: str, state: str = "present", python: str = "python3"
) -> Outcome:
    """Have Python packages in a virtual environment, or not in it, with the pip that is in there.

    The environment is made when it is missing. Which index is asked is pip's own configuration on
    the host. The undo puts back the versions from before, and removes an environment that it made.

    Args:
        c: the task's Context or Connection.
        names: requirements, such as ``six`` or ``six>=1.16,<2``.
        path: the environment's folder, an absolute path.
        state: ``present`` or ``absent``.
        python: the interpreter that a missing environment is made with.

    Outputs:
        versions: of what is named, as it is now.

    Raises:
        InvalidInput: not a requirement, or another state.
        StepFailed: no such interpreter, or pip cannot do it.
    """
    return _in_venv(_Environment(c, "pip", absolute(path), python), _as_list(names), state)


@task(iterable=["names"])
def uv(
    c: Context, names: Sequence[str], path: str, state: str = "present", python: str = "python3"
) -> Outcome:
    """Have Python packages in a virtual environment, or not in it, with uv, which is faster.

    uv is looked for on the PATH of the host, in the release in use, and on this machine beside this
    program. Arguments, outputs and undo as for ``packages.pip``.

    Raises:
        InvalidInput: not a requirement, or another state.
        StepFailed: no uv, no such interpreter, or uv cannot do it.
    """
    program, variables = venv.find_uv(c), venv.uv_environment(c)
    given = _Environment(c, "uv", absolute(path), python, program, variables)
    return _in_venv(given, _as_list(names), state)


@dataclass(frozen=True)
class _Environment:
    """A virtual environment on the host, and what works on it."""

    c: Context
    tool: Literal["pip", "uv"]
    path: Path
    python: str
    program: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, action: venv.Action, names: Sequence[str] = ()) -> command.Result:
        argv = venv.argv(
            self.tool, self.path, action, names, python=self.python, program=self.program
        )
        return command.run(self.c, argv, env=self.variables)

    def listed(self) -> dict[str, str]:
        return venv.listed_in(self.run("list").stdout)

    def inverse(self, names: list[str], state: str) -> Inverse:
        arguments = {"names": names, "path": str(self.path), "state": state, "python": self.python}
        return Inverse(f"packages.{self.tool}", arguments)


def _in_venv(there: _Environment, names: list[str], state: str) -> Outcome:
    if state not in {"present", "absent"}:
        raise InvalidInput(f"{state!r} is not a state", hint="write present or absent")
    venv.read_requirements(names)
    c, path = there.c, there.path
    new = look(c, path / "pyvenv.cfg").kind == "nothing"
    before = {} if new else there.listed()
    left = venv.needed(names, before, absent=state == "absent")
    if not left:
        return Outcome(message="unchanged", outputs={"versions": venv.versions(names, before)})
    if scope(c).check:
        sign = "-" if state == "absent" else "+"
        diff = f"+ {path}/\n" * new + "".join(f"{sign} {one}\n" for one in left)
        return Outcome(changed=True, message=f"would change {', '.join(left)}", diff=diff)
    if new:
        _make(there)
    try:
        there.run("uninstall" if state == "absent" else "install", left)
    except command.CommandFailed:
        if new:
            command.run(c, ["rm", "-rf", "--", path])
        raise
    after = there.listed()
    return Outcome(
        changed=True,
        message=f"{', '.join(left)}: {state}",
        diff=f"+ {path}/\n" * new + venv.difference(before, after),
        outputs={"versions": venv.versions(names, after)},
        undo=_undo_venv(there, before, after, new=new),
    )


def _make(there: _Environment) -> None:
    if look(there.c, there.path).kind != "nothing":
        raise StepFailed(
            f"{there.path} is there and is no virtual environment",
            where=scope(there.c).host.name,
            hint="name a folder that is not there yet; it is made",
        )
    there.run("make")


def _undo_venv(
    there: _Environment, before: Mapping[str, str], after: Mapping[str, str], *, new: bool
) -> tuple[Inverse, ...]:
    if new:
        return (Inverse("packages.remove_venv", {"path": str(there.path)}),)
    added = [name for name in after if name not in before]
    old = [f"{name}=={before[name]}" for name in before if after.get(name) != before[name]]
    return tuple(
        there.inverse(names, state)
        for names, state in ((old, "present"), (added, "absent"))
        if names
    )


@task
def remove_venv(c: Context, path: str) -> Outcome:
    """Remove a virtual environment with all that is in it; it is not undone.

    Raises:
        StepFailed: there is something else at the path.
    """
    folder = absolute(path)
    if look(c, folder).kind == "nothing":
        return Outcome(message="unchanged")
    if look(c, folder / "pyvenv.cfg").kind != "file":
        raise StepFailed(
            f"{path} is not a virtual environment",
            where=scope(c).host.name,
            hint="it has no pyvenv.cfg and is left alone",
        )
    if not scope(c).check:
        command.run(c, ["rm", "-rf", "--", folder])
    return Outcome(changed=True, message="removed", diff=f"- {path}/\n")


def _as_list(value: Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
