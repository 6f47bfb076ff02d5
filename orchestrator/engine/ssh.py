"""Hosts behind SSH: a Connection, what is known about the host, the settings in force there.

Fabric stays what tasks see. Needs sh on the host and nothing else.
"""

from __future__ import annotations

import base64
import shlex
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fabric import Config, Connection
from paramiko.client import RejectPolicy
from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, SSHException

from orchestrator.engine.channel import ChannelRunner
from orchestrator.engine.inventory import places_of
from orchestrator.tasks.scope import HostFacts
from schemas.errors import Unreachable
from schemas.places import Places
from schemas.settings import Settings, Value
from schemas.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke.context import Context

    from schemas.inventory import Host

KEEPALIVE = 15
"""Seconds between two signs of life; a host that vanished is noticed by them."""
_FACTS_TIMEOUT = 30
_FACTS = """
id -un; printf '%s\\n' "$HOME"; id -u; uname -s
for one in python3.13 python3.12 python3.11 python3; do
  command -v "$one" && exit
done
echo
"""
_READ = 'for one; do if test -f "$one"; then base64 < "$one" | tr -d "\\n"; fi; echo; done'


def connect(name: str, host: Host, options: Mapping[str, Any]) -> Connection:
    """An open connection to a host; its key has to be known.

    Args:
        name: the host's name in the inventory.
        host: what the inventory says of it; the rest is from the OpenSSH client's configuration.
        options: Invoke's ``run`` options.

    Raises:
        Unreachable: it does not answer, its key is unknown or another, or we are not let in.
    """
    overrides = {"run": dict(options), "runners": {"remote": ChannelRunner}}
    connection = Connection(
        host.address or name,
        user=host.user or None,
        port=host.port,
        gateway=Connection(host.jump) if host.jump else None,
        connect_timeout=max(1, round(parse_duration(host.connect_timeout))),
        connect_kwargs={"key_filename": str(Path(host.key).expanduser())} if host.key else {},
        config=Config(overrides=overrides),
    )
    for one in filter(None, (connection, connection.gateway)):
        _check_host_keys(one)
    try:
        connection.open()
    except (OSError, SSHException, EOFError) as error:
        raise Unreachable(
            f"{connection.user}@{connection.host}:{connection.port}: {_reason(error)}",
            where=name,
            hint=_hint(error, connection),
        ) from None
    transport = connection.transport
    # Without it each command waits 40 ms for an acknowledgement.
    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport.set_keepalive(KEEPALIVE)
    return connection


def remote_facts(c: Context, name: str, host: Host, variables: Mapping[str, Any]) -> HostFacts:
    """Ask a host what has to be known about it, in one command.

    Raises:
        Unreachable: it has no sh, or does not answer.
    """
    answer: Any = c.run(shlex.join(["sh", "-c", _FACTS]), warn=True, timeout=_FACTS_TIMEOUT)
    lines = answer.stdout.splitlines()
    if not answer.ok or len(lines) < 5:  # noqa: PLR2004 -- what the script prints
        raise Unreachable(
            f"the host does not run sh: {answer.stderr.strip()}",
            where=name,
            hint="log in by hand and see what it says",
        )
    user, home, number, system, python = lines[:5]
    default = Places(Path(home) / ".mahavishnu", Path(home) / ".session-buddy")
    return HostFacts(
        name=name,
        connection="ssh",
        user=user,
        home=Path(home),
        is_root=number == "0",
        system=system,
        python=python,
        places=places_of(host, default),
        address=host.address or name,
        vars=dict(variables),
    )


def remote_settings(c: Context, facts: HostFacts) -> Settings:
    """The settings in force on a host: its files over the defaults, nothing of this machine's.

    Raises:
        InvalidInput: one of its files is wrong.
    """
    there = facts.places
    files = [there.mahavishnu_config, there.tracker_config, there.env_file, there.local_config]
    argv = ["sh", "-c", _READ, "sh", *(str(path) for path in files)]
    answer: Any = c.run(shlex.join(argv), timeout=_FACTS_TIMEOUT)
    with tempfile.TemporaryDirectory() as folder:
        here = Places(Path(folder, "home"), Path(folder, "tracker"))
        copies = [here.mahavishnu_config, here.tracker_config, here.env_file, here.local_config]
        for copy, content in zip(copies, answer.stdout.splitlines(), strict=True):
            if content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(base64.b64decode(content))
        found = Settings.load(here, {})
        values = {key: Value(found[key], _source(found.source(key), here, there)) for key in found}
        warnings = tuple(_source(line, here, there) for line in found.warnings)
    return Settings(values, there, warnings)


def _source(text: str, here: Places, there: Places) -> str:
    text = text.replace(str(here.home), str(there.home))
    return text.replace(str(here.tracker_home), str(there.tracker_home))


def _check_host_keys(connection: Connection) -> None:
    """As ssh does: only hosts whose key is in the user's or the system's known hosts."""
    known = connection.ssh_config.get("userknownhostsfile", "~/.ssh/known_hosts").split()
    for file in (*known, "/etc/ssh/ssh_known_hosts"):
        path = Path(file).expanduser()
        if path.is_file():
            connection.client.load_system_host_keys(str(path))
    connection.client.set_missing_host_key_policy(RejectPolicy())


def _reason(error: Exception) -> str:
    if isinstance(error, BadHostKeyException):
        return "the host's key is not the one that is known"
    if isinstance(error, AuthenticationException):
        return "we are not let in"
    if isinstance(error, TimeoutError):
        return "no answer"
    return str(error) or type(error).__name__


def _hint(error: Exception, connection: Connection) -> str:
    target = f"ssh -p {connection.port} {connection.user}@{connection.host}"
    if isinstance(error, BadHostKeyException):
        return "find out why it changed before anything else"
    if isinstance(error, AuthenticationException):
        return f"try: {target}"
    if "known_hosts" in str(error):
        return f"look at its key with: {target}"
    return "check that it runs, and the address and port in the inventory"
