"""The one factory of Contexts and Connections: one for each host, kept for the whole run.

Knows how hosts are reached, not what is done on them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from invoke.config import Config
from invoke.context import Context

from orchestrator.engine.fanout import FORKS, on_each
from orchestrator.engine.inventory import places_of
from orchestrator.engine.planned import Target
from orchestrator.tasks.runner import SHELL, GroupRunner
from orchestrator.tasks.scope import local_facts
from schemas.errors import Unreachable

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
        self.missing: dict[str, Unreachable] = {}

    def targets(
        self, names: Sequence[str], *, tolerated: float = 0, forks: int = FORKS
    ) -> list[Target]:
        """Hosts with their facts and settings, for the plan; asked at the same time.

        Args:
            names: the hosts.
            tolerated: how many may be unreachable. Those are kept in ``missing``.
            forks: how many to ask at a time.

        Raises:
            Unreachable: more of them than that do not answer, or all.
            InvalidInput: a setting of one is wrong.
        """
        far = [name for name in names if self._hosts.named(name).connection != "local"]
        for name in far:
            self.context(name)  # they connect at the same time
        asked = on_each(far, self._asked, forks=forks)
        found = [asked[name] if name in asked else self._target(name) for name in names]
        targets = [one for one in found if isinstance(one, Target)]
        self.missing = {
            name: one
            for name, one in zip(names, found, strict=True)
            if isinstance(one, Unreachable)
        }
        if self.missing and (len(self.missing) > tolerated or not targets):
            raise next(iter(self.missing.values()))
        return targets

    def context(self, name: str) -> Context:
        """The host's Context or Connection."""
        if name not in self._contexts:
            self._contexts[name] = self.another(name)
        return self._contexts[name]

    def another(self, name: str) -> Context:
        """A Context or Connection beside the host's own one; whoever asks for it closes it."""
        host = self._hosts.named(name)
        if host.connection == "local":
            return local_context()
        from orchestrator.engine.remote_shell import RemoteShell

        shell = RemoteShell(name, host)
        # Importing Fabric takes as long as the handshake that goes on meanwhile.
        shell.start()
        from orchestrator.engine.ssh import connect

        connection: Context = connect(shell, RUN_OPTIONS)
        return connection

    def close(self) -> None:
        """Close every connection."""
        for context in self._contexts.values():
            close = getattr(context, "close", None)
            if close is not None:
                close()
        self._contexts.clear()

    def _asked(self, name: str) -> Target | Unreachable:
        try:
            return self._target(name)
        except Unreachable as error:
            return error

    def _target(self, name: str) -> Target:
        facts, found = self._known_of(name)
        return Target(
            facts=facts,
            settings=self._hosts.settings(name, found),
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
