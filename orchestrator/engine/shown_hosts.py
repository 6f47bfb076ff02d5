"""A host of the inventory, told to a person: how it is reached, and where each variable is from.

Never reaches out to a host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.settings import Value

if TYPE_CHECKING:
    from orchestrator.engine.inventory import Hosts
    from schemas.inventory import Host

_LOCAL = {"connection", "home", "tracker_home", "sudo"}


@dataclass(frozen=True)
class HostShown:
    """What the inventory says of one host.

    Args:
        name: its name.
        where: ``file:line`` of its entry.
        groups: the groups that hold it, the larger first.
        connection: how it is reached; what is not here the OpenSSH configuration says.
        variables: resolved, group before host, each with its ``file:line``.
        settings: its own settings, likewise.
    """

    name: str
    where: str
    groups: list[str]
    connection: dict[str, Any]
    variables: dict[str, Value]
    settings: dict[str, Value]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "where": self.where,
            "groups": self.groups,
            "connection": self.connection,
            "vars": _sourced(self.variables),
            "settings": _sourced(self.settings),
        }

    def lines(self) -> list[str]:
        """As lines of text."""
        how = " ".join(f"{key}={value}" for key, value in self.connection.items())
        found = [f"{self.name}  ({self.where})", f"  {how}"]
        if self.groups:
            found.append(f"  groups: {', '.join(self.groups)}")
        for title, values in (("variables", self.variables), ("settings", self.settings)):
            if values:
                found.append(f"  {title}:")
                found += [
                    f"    {key} = {one.value!r}  ({one.source})" for key, one in values.items()
                ]
        return found


def shown(hosts: Hosts, name: str) -> HostShown:
    """A host as a run sees it."""
    host = hosts.named(name)
    where = hosts.document.where
    return HostShown(
        name=name,
        where=where("hosts", name),
        groups=hosts.groups_of(name),
        connection=_connection(name, host),
        variables=hosts.traced_variables(name),
        settings={
            key: Value(value, where("hosts", name, "settings", key))
            for key, value in host.settings.items()
        },
    )


def _connection(name: str, host: Host) -> dict[str, Any]:
    said = {key: value for key, value in vars(host).items() if key not in {"vars", "settings"}}
    if host.connection == "local":
        said = {key: value for key, value in said.items() if key in _LOCAL}
    else:
        said["address"] = host.address or name
    return {key: value for key, value in said.items() if value not in ("", None, False)}


def _sourced(values: dict[str, Value]) -> dict[str, Any]:
    return {key: {"value": one.value, "where": one.source} for key, one in values.items()}
