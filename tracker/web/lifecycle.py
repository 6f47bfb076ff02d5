"""Starts, stops and restarts a server of this machine, and returns when it is so (guide 3 step 3).

The same for both servers: what differs is in a ``ServerSpec``. A server that runs is known by its
PID file and by what it says in ``/health``, never by its name in a list of processes.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from schemas.errors import InvalidInput, StepFailed
from schemas.health import Health
from schemas.settings import near_host
from tracker.web.last_words import did_not_start
from tracker.web.pidfile import pid_file, read_process, reclaimed
from tracker.web.ports import port_taken
from tracker.web.processes import is_alive, terminate
from tracker.web.supervision import Supervision, supervision

if TYPE_CHECKING:
    from collections.abc import Callable

    import psutil

    from schemas.places import Places
    from schemas.settings import Settings

START_SECONDS = 30.0

_POLL = 0.05


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """A server, as its life goes.

    Args:
        name: ``session-buddy`` or ``mahavishnu``: the service in its ``/health``, its unit, its
            program under supervisor, its executable and its PID file.
        title: what a person calls it, such as ``Session-Buddy MCP server``.
        argv: the command that runs it in the foreground; see ``server_argv``.
        host: where it listens.
        port: where it listens.
        log: its log file.
        cert: its certificate; None: it speaks no TLS.
    """

    name: str
    title: str
    argv: tuple[str, ...]
    host: str
    port: int
    log: Path
    cert: Path | None = None

    @property
    def address(self) -> str:
        """As the guide prints it."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Started:
    """How a start ended."""

    state: Literal["started", "already running"]
    health: Health
    manager: str


def server_argv(name: str, module: str, places: Places, *arguments: str) -> tuple[str, ...]:
    """The command that runs a server: of the current release, or else of this environment.

    Args:
        name: of the executable.
        module: what to run with ``-m`` where there is no executable.
        places: the deployment.
        arguments: of the command.
    """
    for folder in (places.current / "bin", Path(sys.executable).parent):
        if (folder / name).is_file():
            return (str(folder / name), *arguments)
    return (sys.executable, "-m", module, *arguments)


def start(
    spec: ServerSpec,
    settings: Settings,
    *,
    say: Callable[[str], None] = lambda _: None,
    seconds: float = START_SECONDS,
) -> Started:
    """Start a server and wait until it is healthy.

    Args:
        spec: the server.
        settings: the settings in force.
        say: told each of the guide's lines as it becomes true.
        seconds: how long it may take to become healthy.

    Raises:
        StepFailed: somebody else has the port, it ended, or it did not become healthy in time.
    """
    keeper = _keeper(spec, settings)
    running = _running(spec, settings)
    if running is not None:
        health = wait_healthy(
            spec, settings, lambda: "" if is_alive(running) else "it ended", seconds
        )
        say(f"[INFO] {spec.title} runs on {spec.address} already (pid {health.pid})")
        return Started("already running", health, keeper.name)
    _refuse_taken_port(spec)
    say(f"[INFO] Starting {spec.title} on {spec.address}")
    keeper.start()
    health = wait_healthy(spec, settings, keeper.failure, seconds)
    for line in ready_lines(health):
        say(line)
    return Started("started", health, keeper.name)


def stop(
    spec: ServerSpec, settings: Settings, *, say: Callable[[str], None] = lambda _: None
) -> bool:
    """Stop a server and wait until it is gone.

    Returns:
        Whether it ran.

    Raises:
        StepFailed: it belongs to another user, or its manager failed.
    """
    path = pid_file(spec.name, settings.places)
    running = _running(spec, settings)
    _keeper(spec, settings).stop()
    if running is None:
        say(f"[INFO] {spec.title} is not running")
        return False
    if is_alive(running):
        terminate(running, spec.title)
    path.unlink(missing_ok=True)
    say(f"[INFO] {spec.title} stopped")
    return True


def restart(
    spec: ServerSpec, settings: Settings, *, say: Callable[[str], None] = lambda _: None
) -> Started:
    """Stop a server if it runs, and start it.

    Raises:
        StepFailed: as ``stop`` and ``start``.
    """
    stop(spec, settings, say=say)
    return start(spec, settings, say=say)


def wait_healthy(
    spec: ServerSpec,
    settings: Settings,
    failure: Callable[[], str] = lambda: "",
    seconds: float = START_SECONDS,
) -> Health:
    """Wait until the server that the PID file names says that it is healthy or degraded.

    Args:
        spec: the server.
        settings: the settings in force.
        failure: says why waiting is in vain; empty: go on.
        seconds: how long to wait.

    Raises:
        StepFailed: it ended, or is not healthy in time.
    """
    path = pid_file(spec.name, settings.places)
    deadline = time.monotonic() + seconds
    health: Health | None = None
    while time.monotonic() < deadline:
        health = ask(spec)
        process = read_process(path)
        if health and process and health.pid == process.pid and health.status != "unhealthy":
            return health
        if reason := failure():
            raise did_not_start(spec.title, reason, _log(spec))
        time.sleep(_POLL)
    raise StepFailed(_why_not(spec, health, seconds), hint=_log(spec))


def ask(spec: ServerSpec, timeout: float = 2.0) -> Health | None:
    """What a server of this name says on its address, or None: none answers there."""
    try:
        connection = _connection(spec, timeout)
    except InvalidInput:
        return None  # its certificate cannot be read; the server itself says why
    try:
        connection.request("GET", "/health")
        answer: Any = json.loads(connection.getresponse().read())
        health = Health.from_dict(answer)
    except (OSError, http.client.HTTPException, ValueError, TypeError, AttributeError):
        return None
    finally:
        connection.close()
    return health if health.service == spec.name else None


def _connection(spec: ServerSpec, timeout: float) -> http.client.HTTPConnection:
    host = near_host(spec.host)
    if spec.cert is None:
        return http.client.HTTPConnection(host, spec.port, timeout=timeout)
    from tracker.client.tls import Trust

    context = Trust(cert=spec.cert).context()
    return http.client.HTTPSConnection(host, spec.port, timeout=timeout, context=context)


def ready_lines(health: Health) -> list[str]:
    """The last two of the guide's lines, from what the server itself says."""
    tracking = next((probe for probe in health.probes if probe.name == "Session tracking"), None)
    lines = [f"[INFO] Session tracking {tracking.value}"] if tracking else []
    return [*lines, "[INFO] Ready to accept connections"]


def _running(spec: ServerSpec, settings: Settings) -> psutil.Process | None:
    """The server of this deployment, also when its PID file is damaged but it answers."""
    path = pid_file(spec.name, settings.places)
    running = read_process(path)
    if running is None and (health := ask(spec)) is not None:
        return reclaimed(path, health.pid, settings.places)
    return running


def _keeper(spec: ServerSpec, settings: Settings) -> Supervision:
    return supervision(spec.name, spec.argv, spec.log.with_suffix(".out"), settings.places)


def _refuse_taken_port(spec: ServerSpec) -> None:
    other = ask(spec)
    if other is not None:
        raise StepFailed(
            f"port {spec.port} on {spec.host} is held by the {spec.title} of another deployment"
            f" (pid {other.pid})",
            hint="choose another port in the settings, or stop that one",
        )
    import socket

    with socket.socket(socket.AF_INET6 if ":" in spec.host else socket.AF_INET) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex((spec.host, spec.port)) == 0:
            raise port_taken(spec.host, spec.port)


def _why_not(spec: ServerSpec, health: Health | None, seconds: float) -> str:
    if health is None:
        return f"{spec.title} does not answer on {spec.address} after {seconds:g} s"
    failed = [f"{probe.name} {probe.value}" for probe in health.probes if probe.ok is False]
    return f"{spec.title} is {health.status}: {', '.join(failed) or 'it does not say why'}"


def _log(spec: ServerSpec) -> str:
    return f"its log: {spec.log}"
