"""Who listens on a port, so that an error can name the process and not only the number."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from schemas.errors import StepFailed


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that listens; ``pid`` is 0 where the system does not tell us whose it is."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else "a process of another user"


def listener_on(port: int) -> Listener | None:
    """The process that listens on a TCP port of this machine, or None."""
    found = None
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port:
            if connection.pid:
                return Listener(connection.pid, _name(connection.pid))
            found = Listener(0, "")
    return found


def port_taken(host: str, port: int, reason: str = "it is in use") -> StepFailed:
    """The error for a port that cannot be had, naming who holds it."""
    holder = listener_on(port)
    if holder is None:
        return StepFailed(f"cannot listen on {host}:{port}: {reason}", hint="choose another port")
    return StepFailed(
        f"port {port} on {host} is held by {holder}",
        hint="stop that process, or choose another port in the settings",
    )


def _name(pid: int) -> str:
    """The program, as a person would know it: of an interpreter, the script that it runs."""
    try:
        process = psutil.Process(pid)
        name = process.name()
        if not name.startswith("python"):
            return str(name)
        scripts = [part for part in process.cmdline()[1:] if not part.startswith("-")]
        return f"{name} {scripts[0].rsplit('/', 1)[-1]}" if scripts else str(name)
    except psutil.Error:
        return "a process"
