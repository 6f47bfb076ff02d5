"""Hosts as a plan needs them, made up from the inventory: lint connects to none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.engine.inventory import places_of
from orchestrator.engine.planned import Target
from orchestrator.tasks.scope import HostFacts, local_facts
from schemas.places import Places
from schemas.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orchestrator.engine.inventory import Hosts
    from schemas.runbook import Parameter

_GIVEN: Mapping[str, Any] = {
    "string": "given",
    "integer": 1,
    "number": 1.0,
    "boolean": False,
    "list": [],
}


def made_up_targets(hosts: Hosts, names: Sequence[str]) -> list[Target]:
    """Targets with the inventory's variables and settings, and likely facts.

    Raises:
        InvalidInput: a setting in the inventory is wrong.
    """
    return [_target(hosts, name) for name in names]


def made_up_params(declared: Mapping[str, Parameter]) -> dict[str, Any]:
    """A value for each parameter that has none."""
    return {
        name: parameter.choices[0] if parameter.choices else _GIVEN[parameter.type]
        for name, parameter in declared.items()
        if parameter.required
    }


def _target(hosts: Hosts, name: str) -> Target:
    host = hosts.named(name)
    if host.connection == "local":
        facts = local_facts(Places.of_this_user(), name, hosts.variables(name))
    else:
        home = Path("/home") / (host.user or "operator")
        default = Places(home / ".mahavishnu", home / ".session-buddy")
        facts = HostFacts(
            name=name,
            connection="ssh",
            user=host.user or "operator",
            home=home,
            is_root=host.user == "root",
            system="Linux",
            python="/usr/bin/python3",
            places=places_of(host, default),
            address=host.address or name,
            vars=hosts.variables(name),
        )
    return Target(
        facts=facts,
        settings=hosts.settings(name, Settings.load(facts.places, {})),
        matches=lambda pattern, where: hosts.matches(name, pattern, where),
    )
