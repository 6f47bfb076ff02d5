"""The inventory file: hosts, groups and their variables."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from schemas.environment import Environment
from schemas.runbook import Duration, Strict


class Host(Strict):
    """One host."""

    connection: Literal["local", "ssh"] = "ssh"
    address: str = Field("", description="name or address; empty: the host's name in this file")
    port: int | None = Field(None, ge=1, le=65535)
    user: str = ""
    key: str = Field("", description="private key file")
    jump: str = Field("", description="jump host, as user@host:port; several with commas")
    known_hosts: str = Field(
        "strict", description="strict, accept-new, or a file of the keys that are known"
    )
    sudo: bool = Field(False, description="every step as root")
    connect_timeout: Duration = "10s"
    home: str = Field("", description="MAHAVISHNU_HOME there")
    tracker_home: str = Field("", description="SESSION_BUDDY_HOME there")
    settings: dict[str, Any] = Field({}, description="settings by their full names")
    vars: dict[str, Any] = {}


class Group(Strict):
    """Hosts that are named together."""

    hosts: list[str] = []
    children: list[str] = []
    vars: dict[str, Any] = {}


class Inventory(Strict):
    """An inventory file."""

    schema_version: Literal[1]
    hosts: dict[str, Host] = Field(min_length=1)
    groups: dict[str, Group] = {}
    vars: dict[str, Any] = {}
    environment: Environment | None = Field(
        None, description="what these hosts are for, and when a run has to ask or to wait"
    )

    @model_validator(mode="after")
    def _members_exist(self) -> Self:
        for name, group in self.groups.items():
            for host in group.hosts:
                if host not in self.hosts:
                    raise ValueError(
                        f"group {name!r} names the host {host!r}, which is not in this file"
                    )
            for child in group.children:
                if child not in self.groups:
                    raise ValueError(
                        f"group {name!r} names the group {child!r}, which is not in this file"
                    )
        return self
