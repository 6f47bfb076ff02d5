"""The one factory of Contexts and Connections: one for each host, kept for the whole run.

Knows how hosts are reached, not what is done on them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from invoke.config import Config
from invoke.context import Context

from orchestrator.engine.inventory import places_of
from orchestrator.engine.planned import Target
from orchestrator.tasks.runner import SHELL, GroupRunner
from orchestrator.tasks.scope import local_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.engine.inventory import Hosts
    from orchestrator.tasks.scope import HostFacts
    from schemas.places import Places
    from schemas.settings import Settings

RUN_OPTIONS: dict[str, Any] = {"hide": True, "in_stream": False, "shell": SHELL}
"""A task's own ``c.run`` neither prints over the run's lines nor eats the terminal's input."""


class Connections:
    """The hosts of an inventory, connected to when first needed.

    Args:
        hosts: the inventory.
        places: the deployment of this user on this machine.
        settings: the settings in force on this machine.
    """

    def __init__(self, hosts: Hosts, places: Places, settings: Settings) -> None:
        self._hosts = hosts
        self._places = places
        self.settings = settings
        self._contexts: dict[str, Context] = {}

    def targets(self, names: Sequence[str]) -> list[Target]:
        """Hosts with their facts and settings, for the plan.

        Raises:
            Unreachable: one of them does not answer.
            InvalidInput: a setting of one is wrong.
        """
        for name in names:
            self.context(name)  # they connect at the same time
        return [self._target(name, is_first=number == 0) for number, name in enumerate(names)]

    def context(self, name: str) -> Context:
        """The host's Context or Connection."""
        if name not in self._contexts:
            host = self._hosts.named(name)
            if host.connection == "local":
                self._contexts[name] = local_context()
            else:
                from orchestrator.engine.remote_shell import RemoteShell

                shell = RemoteShell(name, host)
                # Importing Fabric takes as long as the handshake that goes on meanwhile.
                shell.start()
                from orchestrator.engine.ssh import connect

                self._contexts[name] = connect(shell, RUN_OPTIONS)
        return self._contexts[name]

    def close(self) -> None:
        """Close every connection."""
        for context in self._contexts.values():
            close = getattr(context, "close", None)
            if close is not None:
                close()
        self._contexts.clear()

    def _target(self, name: str, *, is_first: bool) -> Target:
        facts, found = self._known_of(name)
        return Target(
            facts=facts,
            settings=self._hosts.settings(name, found),
            is_first=is_first,
            matches=lambda pattern, where: self._hosts.matches(name, pattern, where),
        )

    def _known_of(self, name: str) -> tuple[HostFacts, Settings]:
        """Facts about a host and its own settings; of another machine in one exchange."""
        host = self._hosts.named(name)
        variables = self._hosts.variables(name)
        if host.connection != "local":
            from orchestrator.engine.ssh import remote_host

            return remote_host(self.context(name), name, host, variables)
        places = places_of(host, self._places)
        facts = replace(local_facts(places, name, variables), sudo=host.sudo)
        if places == self._places:
            return facts, self.settings
        from schemas.settings import Settings

        return facts, Settings.load(places)


def local_context() -> Context:
    """A Context for this machine that reads no ``invoke.yaml`` of the user's."""
    overrides = {"run": RUN_OPTIONS, "runners": {"local": GroupRunner}}
    return Context(Config(overrides=overrides, lazy=True))
