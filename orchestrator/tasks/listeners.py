"""Who listens on a port of the host, and whose server a process is.

Read from /proc, which needs neither root nor a package, or from lsof where there is no /proc.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.tasks import command
from orchestrator.tasks.managed import SERVERS
from orchestrator.tasks.scope import scope
from schemas.places import Places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LISTENING = "0A"
_SHOWN = 60
_SOCKETS = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null"
_HOLDERS = (
    "ls -l /proc/[0-9]*/fd 2>/dev/null | "
    'awk -v s="socket:[$1]" \'/^\\/proc\\//{split($0,p,"/")} $NF==s{print p[3]}\' | sort -un'
)


@dataclass(frozen=True)
class Listener:
    """A process that holds a port.

    Args:
        pid: None when it belongs to another user and only root may know.
        command: what it is, such as ``python session-buddy``, when that may be known.
        user: its owner's name, or number.
    """

    pid: int | None
    command: str
    user: str

    def __str__(self) -> str:
        if self.pid is None:
            return f"a process of user {self.user}" if self.user else "another process"
        return f"{self.command or 'a process'} (pid {self.pid}, user {self.user})"


@dataclass(frozen=True)
class Socket:
    """A listening socket in /proc/net/tcp."""

    address: Address
    inode: str
    uid: str


def listener(c: Context, host: str, port: int) -> Listener | None:
    """The process that keeps a server from listening on this address, or None.

    Args:
        c: the task's Context or Connection.
        host: the address that the server is to listen on.
        port: its port.
    """
    table = command.run(c, ["sh", "-c", _SOCKETS], check=False).stdout
    if not table:
        return _from_lsof(c, port)
    for socket in listening(table, port):
        if _conflict(socket.address, host):
            found = command.run(c, ["sh", "-c", _HOLDERS, "sh", socket.inode], check=False)
            pids = found.stdout.split()
            if pids:
                return described(c, int(pids[0]))
            return Listener(None, "", _user_name(c, socket.uid))
    return None


def listening(table: str, port: int) -> list[Socket]:
    """The sockets in the text of /proc/net/tcp and tcp6 that listen on a port (proc(5))."""
    found = []
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[3] != _LISTENING:  # noqa: PLR2004 -- proc(5): inode is 10th
            continue
        address, _, number = fields[1].partition(":")
        if int(number, 16) == port:
            found.append(Socket(_address(address), inode=fields[9], uid=fields[7]))
    return found


def _address(digits: str) -> Address:
    # Each group of 32 bits stands in the machine's own byte order, which is little-endian.
    packed = b"".join(bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    return ipaddress.ip_address(packed)


def _conflict(taken: Address, wanted: str) -> bool:
    try:
        address: Address = ipaddress.ip_address(wanted or "0.0.0.0")  # noqa: S104 -- compared only
    except ValueError:
        return True
    mapped = taken.ipv4_mapped if isinstance(taken, ipaddress.IPv6Address) else None
    return taken.is_unspecified or address.is_unspecified or address in {taken, mapped}


def described(c: Context, pid: int) -> Listener:
    """What may be known of a process."""
    # No more than program and script: what follows may be somebody's secret.
    names = [word.rsplit("/", 1)[-1] for word in arguments_of(c, pid)[:2]]
    owner = command.run(c, ["stat", "-c", "%U", f"/proc/{pid}"], check=False).stdout.strip()
    shown = " ".join(name for name in names if not name.startswith("-"))
    return Listener(pid, " ".join(shown.split())[:_SHOWN], owner)


def arguments_of(c: Context, pid: int) -> list[str]:
    """The argument list of a process; empty when it is gone or hidden."""
    content = command.run(c, ["cat", f"/proc/{pid}/cmdline"], check=False).stdout
    return content.rstrip("\0").split("\0") if content else []


def is_ours(c: Context, pid: int, name: str) -> bool:
    """Whether a process is the server ``name`` of this very deployment.

    Another deployment of the same user may run the same server: its home tells them apart.
    """
    if not serves(arguments_of(c, pid), name):
        return False
    environ = _environment(c, pid)
    if "HOME" not in environ and not {"MAHAVISHNU_HOME", "SESSION_BUDDY_HOME"} <= environ.keys():
        return False
    return Places.of_this_user(environ) == scope(c).places


@dataclass(frozen=True)
class Served:
    """The server that a process is, and its deployment."""

    server: str
    home: str
    stop_command: str


def served_by(c: Context, pid: int) -> Served | None:
    """Which server of which deployment a process is; None when it is none, or that is hidden."""
    argv, environ = arguments_of(c, pid), _environment(c, pid)
    server = next((name for name in SERVERS if serves(argv, name)), None)
    if server is None or not environ.keys() & {"HOME", "MAHAVISHNU_HOME"}:
        return None
    homes = [name for name in ("MAHAVISHNU_HOME", "SESSION_BUDDY_HOME") if name in environ]
    told = " ".join(f"{name}={shlex.quote(environ[name])}" for name in homes)
    home = Places.of_this_user(environ).home
    return Served(server, str(home), f"{told} {server} mcp stop".strip())


def _environment(c: Context, pid: int) -> dict[str, str]:
    listed = command.run(c, ["cat", f"/proc/{pid}/environ"], check=False).stdout
    return dict(line.partition("=")[::2] for line in listed.split("\0") if "=" in line)


def serves(argv: Sequence[str], name: str) -> bool:
    """Whether an argument list starts the server ``name``: ``.../name mcp start``."""
    words = [word.rsplit("/", 1)[-1] for word in argv]
    return any(words[at : at + 3] == [name, "mcp", "start"] for at in range(len(words) - 2))


def _user_name(c: Context, uid: str) -> str:
    return command.run(c, ["id", "-un", uid], check=False).stdout.strip() or uid


def _from_lsof(c: Context, port: int) -> Listener | None:
    argv = ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpcu"]
    fields = command.run(c, argv, check=False).stdout
    pid = re.search(r"^p(\d+)$", fields, re.MULTILINE)
    if not pid:
        return None
    name = re.search(r"^c(.*)$", fields, re.MULTILINE)
    uid = re.search(r"^u(\d+)$", fields, re.MULTILINE)
    return Listener(int(pid[1]), name[1] if name else "", _user_name(c, uid[1]) if uid else "")
