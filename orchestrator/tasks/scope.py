"""What a task may know of the step that it runs for: host, places, settings, mode, secrets.

The engine attaches a ``Scope`` to each Context and Connection that it makes. A task called from the
command line gets one for this machine. Knows nothing of runbooks, plans or journals.
"""

from __future__ import annotations

import getpass
import os
import platform
import secrets
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.redact import SecretRegistry
from schemas.places import Places, is_checkout, ops_folder
from schemas.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke.context import Context

_ATTRIBUTE = "_sessionops_scope"


@dataclass(frozen=True)
class HostFacts:
    """What is known about a host before anything is done on it.

    Args:
        name: its name in the inventory.
        connection: how it is reached.
        user: the login user there.
        home: that user's home folder.
        is_root: whether that user is root.
        system: ``Linux`` or ``Darwin``.
        python: path of an interpreter there, or empty.
        places: the folders of the deployment there.
        address: name or address to connect to; empty on this machine.
        sudo: whether the inventory wants every step there as root.
        vars: the inventory's variables, group before host.
    """

    name: str
    connection: Literal["local", "ssh"]
    user: str
    home: Path
    is_root: bool
    system: str
    python: str
    places: Places
    address: str = ""
    sudo: bool = False
    vars: Mapping[str, Any] = field(default_factory=dict)

    def as_variables(self) -> dict[str, Any]:
        """For ``{{ host.<name> }}`` in runbooks and templates."""
        return {
            "name": self.name,
            "connection": self.connection,
            "address": self.address,
            "user": self.user,
            "home": str(self.home),
            "is_root": self.is_root,
            "system": self.system,
            "python": self.python,
            "vars": dict(self.vars),
        }


@dataclass
class Scope:
    """What a task may know of the step it runs for.

    Args:
        check: compute ``changed`` and ``diff``, do nothing.
        host: facts about the host.
        places: the folders of the deployment on the host.
        settings: the settings in force on the host.
        variables: what templates see: params, host, settings, paths, urls, vars, steps.
        saved: folder on the host for content that an undo will need; made by whoever writes to it.
        secrets: values to mask; a task that reads or makes a secret adds it.
        run_id: the run, or ``cli-...`` when there is none.
        sudo: run commands as root.
        env: variables for every command, beside the login's.
        deadline: the moment on ``time.monotonic()`` when the step must be over, or None.
    """

    check: bool
    host: HostFacts
    places: Places
    settings: Settings
    variables: dict[str, Any]
    saved: Path
    secrets: SecretRegistry
    run_id: str
    sudo: bool = False
    env: dict[str, str] = field(default_factory=dict)
    deadline: float | None = None

    def remaining(self, at_most: float) -> float:
        """Seconds that a task may still wait: its own limit, or less when the step ends before."""
        if self.deadline is None:
            return at_most
        return max(0.0, min(at_most, self.deadline - time.monotonic()))


def scope(c: Context) -> Scope:
    """The scope of a Context or Connection.

    One that the engine did not make gets the scope of this machine, out of check mode.

    Raises:
        InvalidInput: a setting of this machine is wrong.
    """
    found: Scope | None = vars(c).get(_ATTRIBUTE)
    if found is None:
        from orchestrator.tasks.runner import use_local_runner

        found = _this_machine()
        use_local_runner(c)
        attach(c, found)
    return found


def control_of(c: Context) -> Context:
    """A Context of this machine for a step on a host; of a step on this machine its own.

    It has this machine's places and settings, and the step's limits and secrets.
    """
    here = scope(c)
    if here.host.connection == "local":
        return c
    from invoke.context import Context as ThisMachine

    control = ThisMachine()
    mine = scope(control)
    mine = replace(mine, check=here.check, secrets=here.secrets, deadline=here.deadline)
    attach(control, replace(mine, run_id=here.run_id))
    return control


def attach(c: Context, value: Scope) -> None:
    """Give a Context or Connection its scope, in place of the one it has."""
    # Context turns ordinary attribute writes into configuration.
    object.__setattr__(c, _ATTRIBUTE, value)


def local_facts(
    places: Places, name: str = "this-machine", variables: Mapping[str, Any] | None = None
) -> HostFacts:
    """Facts about this machine, without starting a process."""
    return HostFacts(
        name=name,
        connection="local",
        user=getpass.getuser(),
        home=Path.home(),
        is_root=os.geteuid() == 0,
        system=platform.system(),
        python=sys.executable,
        places=places,
        vars=dict(variables or {}),
    )


def base_variables(
    host: HostFacts,
    settings: Settings,
    params: Mapping[str, Any] | None = None,
    ops: Path | None = None,
) -> dict[str, Any]:
    """What runbooks and templates see before any step has run.

    ``paths.ops`` is the folder with runbooks and templates (by default this project's),
    ``paths.project`` the checkout (from a release, or on another host: ``paths.etc``),
    ``paths.data`` the tracker's home.
    """
    ops = ops or ops_folder()
    project = ops_folder() if is_checkout() and host.connection == "local" else None
    return {
        "params": dict(params or {}),
        "host": host.as_variables(),
        "vars": dict(host.vars),
        "settings": settings.as_tree(),
        "paths": {
            **host.places.as_variables(),
            "database": str(settings.database),
            "data": str(host.places.tracker_home),
            "ops": str(ops),
            "project": str(project if project is not None else host.places.etc),
        },
        "urls": {"tracker": settings.tracker_url, "mahavishnu": settings.mahavishnu_url},
    }


def _this_machine() -> Scope:
    places = Places.of_this_user()
    settings = Settings.load(places)
    host = local_facts(places)
    run_id = f"cli-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    return Scope(
        check=False,
        host=host,
        places=places,
        settings=settings,
        variables=base_variables(host, settings),
        saved=places.state / "saved" / run_id,
        secrets=SecretRegistry(),
        run_id=run_id,
    )
