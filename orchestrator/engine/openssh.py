"""The command lines of the OpenSSH client, built from an inventory's entry. Runs nothing.

What the inventory does not say is left to the user's OpenSSH configuration.
"""

from __future__ import annotations

import os
import pwd
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.units import parse_duration

if TYPE_CHECKING:
    from schemas.inventory import Host

KEEPALIVE = 15
"""Seconds between two signs of life; a host that vanished is noticed after three of them."""


def shell_argv(name: str, host: Host, control: Path) -> list[str]:
    """The client that brings a shell, and lets later clients share its connection.

    Args:
        name: the host's name in the inventory.
        host: what the inventory says of it.
        control: the socket for those that share it.
    """
    master = ["-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-o", f"ControlPath={control}"]
    route = _route(host)
    return ["ssh", *_options(host), *master, *_login(host), *route, _address(name, host), "exec sh"]


def shared_argv(name: str, host: Host, control: Path, command: str) -> list[str]:
    """A command over the connection that another client holds open."""
    share = ["-o", "ControlMaster=no", "-o", f"ControlPath={control}"]
    return ["ssh", *_options(host), *share, *_login(host), _address(name, host), command]


def home_folder() -> Path:
    """The user's home as the rest of this project sees it; ssh itself looks only at passwd."""
    return Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def known_hosts_options(policy: str) -> list[str]:
    """How the host's key is checked: ``strict``, ``accept-new``, or a file of known keys."""
    if policy in {"strict", "accept-new"}:
        checking = "yes" if policy == "strict" else policy
        return ["-o", f"StrictHostKeyChecking={checking}"]
    file = str(Path(policy).expanduser()).replace(" ", "\\ ")
    return [
        *("-o", "StrictHostKeyChecking=yes"),
        *("-o", f"UserKnownHostsFile={file}"),
        *("-o", "GlobalKnownHostsFile=/dev/null"),
    ]


def proxy_line(host: Host) -> str:
    """The command that goes through the jump hosts; their keys are checked as the host's own."""
    line = ""
    for jump in filter(None, host.jump.split(",")):
        key = ["-i", str(Path(host.key).expanduser())] if host.key else []
        # What the outer client would expand is for the inner one.
        through = ["-o", f"ProxyCommand={line.replace('%', '%%')}"] if line else []
        hop = ["ssh", *_options(host), *key, *through, "-W", "[%h]:%p", f"ssh://{jump.strip()}"]
        line = shlex.join(hop)
    return line


def _options(host: Host) -> list[str]:
    wanted = {
        "BatchMode": "yes",
        "ConnectTimeout": max(1, round(parse_duration(host.connect_timeout))),
        "ServerAliveInterval": KEEPALIVE,
        "ServerAliveCountMax": 3,
        "LogLevel": "ERROR",
        "RemoteCommand": "none",
        "PermitLocalCommand": "no",
        "ClearAllForwardings": "yes",
        "ForwardX11": "no",
    }
    said = [word for key, value in wanted.items() for word in ("-o", f"{key}={value}")]
    return ["-T", "-e", "none", *_own_home(host), *said, *known_hosts_options(host.known_hosts)]


def _own_home(host: Host) -> list[str]:
    """Options that make ssh look below ``$HOME`` where that is not the home of passwd."""
    home = home_folder()
    if home == Path(pwd.getpwuid(os.getuid()).pw_dir):
        return []
    config = home / ".ssh" / "config"
    words = ["-F", str(config)] if config.is_file() else []
    told = "userknownhostsfile" in config.read_text().lower() if words else False
    if not told and host.known_hosts in {"strict", "accept-new"}:
        words += ["-o", f"UserKnownHostsFile={home}/.ssh/known_hosts"]
    return words


def _login(host: Host) -> list[str]:
    words = ["-l", host.user] if host.user else []
    words += ["-p", str(host.port)] if host.port else []
    return words + (["-i", str(Path(host.key).expanduser())] if host.key else [])


def _route(host: Host) -> list[str]:
    line = proxy_line(host)
    return ["-o", f"ProxyCommand={line}"] if line else []


def _address(name: str, host: Host) -> str:
    return host.address or name
