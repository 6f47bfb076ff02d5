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
from paramiko.client import AutoAddPolicy, RejectPolicy
from paramiko.config import SSHConfig
from paramiko.ssh_exception import ConfigParseError, SSHException

from orchestrator.engine.channel import ShellRunner, is_plain
from orchestrator.engine.inventory import places_of
from orchestrator.engine.openssh import KEEPALIVE, home_folder, proxy_line
from orchestrator.tasks.scope import HostFacts
from schemas.errors import Unreachable
from schemas.places import Places
from schemas.settings import Settings, Value
from schemas.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke.runners import Result

    from orchestrator.engine.remote_shell import RemoteShell
    from schemas.inventory import Host

_FACTS_TIMEOUT = 30
_FACTS = """
id -un; printf '%s\\n' "$HOME"; id -u; uname -s
p=
for one in python3.13 python3.12 python3.11 python3; do p=$(command -v "$one") && break; done
printf '%s\\n' "$p"
"""
_READ = """
for one; do
  case $one in "~/"*) one=$HOME/${one#??};; esac
  if test -f "$one"; then base64 < "$one" | tr -d "\\n"; fi; echo
done
"""
_LINES_OF_FACTS = 5


class SshConnection(Connection):  # type: ignore[misc] # fabric has no types
    """A Connection whose commands go through one shell of the OpenSSH client.

    ``put``, ``get``, ``sudo`` and what needs a terminal open Fabric's own connection when first
    used.

    Args:
        shell: the host's shell; what its entry does not say is from the OpenSSH configuration.
        options: Invoke's ``run`` options.
    """

    def __init__(self, shell: RemoteShell, options: Mapping[str, Any]) -> None:
        name, host = shell.name, shell.host
        overrides = {"run": dict(options), "runners": {"remote": ShellRunner}}
        super().__init__(
            host.address or name,
            user=host.user or None,
            port=host.port,
            gateway=proxy_line(host) or None,
            connect_timeout=max(1, round(parse_duration(host.connect_timeout))),
            connect_kwargs={"key_filename": str(Path(host.key).expanduser())} if host.key else {},
            config=_config(overrides),
        )
        # Context turns ordinary attribute writes into configuration.
        object.__setattr__(self, "remote_shell", shell)

    def run(self, command: str, **options: Any) -> Result | None:
        """Run a line of sh there."""
        if not is_plain({**self.config.run, **options}):
            return super().run(command, **options)  # type: ignore[no-any-return]
        return self._run(self._remote_runner(), command, **options)  # type: ignore[no-any-return]

    def open(self) -> Any:
        """Open Fabric's own connection.

        Raises:
            Unreachable: it does not answer, its key is unknown or another, or we are not let in.
        """
        if self.is_connected:
            return None
        name, host = self.remote_shell.name, self.remote_shell.host
        _check_host_key(self, host)
        try:
            opened = super().open()
        except (OSError, SSHException, EOFError) as error:
            raise Unreachable(
                f"{self.user}@{self.host}:{self.port}: {error or type(error).__name__}",
                where=name,
                hint=f"try: ssh -p {self.port} {self.user}@{self.host}",
            ) from None
        # Without it each command waits 40 ms for an acknowledgement.
        if isinstance(self.transport.sock, socket.socket):
            self.transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport.set_keepalive(KEEPALIVE)
        return opened

    def close(self) -> None:
        """Close the shell and Fabric's own connection."""
        self.remote_shell.close()
        super().close()


def connect(shell: RemoteShell, options: Mapping[str, Any]) -> Connection:
    """A Connection to the host of a shell; its key has to be known.

    Args:
        shell: started or not; the first command starts it.
        options: Invoke's ``run`` options.
    """
    return SshConnection(shell, options)


def remote_host(
    c: Connection, name: str, host: Host, variables: Mapping[str, Any]
) -> tuple[HostFacts, Settings]:
    """Ask a host what has to be known about it, and for the settings in force there, at once.

    Settings are its files over the defaults, nothing of this machine's.

    Raises:
        Unreachable: it does not answer, or has no sh.
        InvalidInput: one of its files is wrong.
    """
    asked = places_of(host, Places(Path("~/.mahavishnu"), Path("~/.session-buddy")))
    words = shlex.join(["set", "--", *(str(path) for path in _files(asked))])
    answer: Any = c.run(f"{words}\n{_FACTS}{_READ}", warn=True, timeout=_FACTS_TIMEOUT)
    lines = answer.stdout.split("\n")
    if not answer.ok or len(lines) < _LINES_OF_FACTS + len(_files(asked)):
        raise Unreachable(
            f"the host does not run sh: {answer.stderr.strip()}",
            where=name,
            hint="log in by hand and see what it says",
        )
    user, home, number, system, python = lines[:_LINES_OF_FACTS]
    default = Places(Path(home) / ".mahavishnu", Path(home) / ".session-buddy")
    facts = HostFacts(
        name=name,
        connection="ssh",
        user=user,
        home=Path(home),
        is_root=number == "0",
        system=system,
        python=python,
        places=places_of(host, default),
        address=host.address or name,
        sudo=host.sudo,
        vars=dict(variables),
    )
    return facts, _settings(lines[_LINES_OF_FACTS:], facts.places)


def _files(places: Places) -> list[Path]:
    return [
        places.mahavishnu_config,
        places.tracker_config,
        places.env_file,
        places.local_config,
    ]


def _settings(contents: list[str], there: Places) -> Settings:
    with tempfile.TemporaryDirectory() as folder:
        here = Places(Path(folder, "home"), Path(folder, "tracker"))
        for copy, content in zip(_files(here), contents, strict=False):
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


def _config(overrides: dict[str, Any]) -> Config:
    try:
        return Config(overrides=overrides)
    except ConfigParseError:
        # ssh understands more than paramiko; only put, get and sudo go without it then.
        return Config(overrides=overrides, ssh_config=SSHConfig())


def _check_host_key(connection: Connection, host: Host) -> None:
    """As ssh does: only hosts whose key is known, unless new ones are to be accepted."""
    if host.known_hosts in {"strict", "accept-new"}:
        told = connection.ssh_config.get("userknownhostsfile", "").split()
        known = [*(told or [f"{home_folder()}/.ssh/known_hosts"]), "/etc/ssh/ssh_known_hosts"]
    else:
        known = [host.known_hosts]
    for file in known:
        path = Path(file).expanduser()
        if path.is_file():
            connection.client.load_system_host_keys(str(path))
    is_open = host.known_hosts == "accept-new"
    connection.client.set_missing_host_key_policy(AutoAddPolicy() if is_open else RejectPolicy())
