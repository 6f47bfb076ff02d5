"""Whether the server that runs is the one that should: compared by what it says in ``/health``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from orchestrator.tasks import fetching, programs
from orchestrator.tasks.scope import scope
from schemas.health import Health
from schemas.settings import base_url

if TYPE_CHECKING:
    from invoke.context import Context

    from orchestrator.tasks.managed import Managed

Action = Literal["nothing", "start", "restart"]
SETTINGS = {
    "session-buddy": ("session_buddy.host", "session_buddy.port", "session_buddy.tls.cert"),
    "mahavishnu": ("mahavishnu.host", "mahavishnu.port", "mahavishnu.tls.cert"),
}
"""The settings that say where each server listens, and whether with TLS."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens."""

    host: str
    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        """Its base address, for a client on the same host."""
        return base_url(self.host, self.port, tls=self.tls)


@dataclass(frozen=True)
class Wanted:
    """What should run.

    Args:
        release: the release that ``current`` names.
        configuration: the fingerprint of the configuration files as they are.
        endpoint: where those files tell the server to listen.
    """

    release: str
    configuration: str
    endpoint: Endpoint


@dataclass(frozen=True)
class Verdict:
    """What has to be done, and why, for a person."""

    action: Action
    reason: str


def wanted(c: Context, server: str, release: str) -> Wanted:
    """What should run when ``release`` is in use, as the files in place say.

    What this shell exports does not count: the service manager does not know of it, and after a
    rollback the files are those from before.
    """
    result = programs.run(c, "session-buddy", ["config", "--json"], as_server=True)
    shown = programs.answer(result, "session-buddy config")
    # A release from before TLS does not know the last of them, and speaks none.
    host, port, cert = (shown["settings"].get(name, {}).get("value") for name in SETTINGS[server])
    return Wanted(release, str(shown["fingerprint"]), Endpoint(str(host), int(port), bool(cert)))


def endpoint_of(c: Context, server: str) -> Endpoint:
    """Where the settings of this run tell a server to listen."""
    host, port, cert = (scope(c).settings[name] for name in SETTINGS[server])
    return Endpoint(str(host), int(port), bool(cert))


def ask(c: Context, server: str, endpoint: Endpoint) -> Health | None:
    """What the server says of itself; None when none of that name answers."""
    answer = fetching.get(c, f"{endpoint.url}/health", wait=2.0, own=True)
    try:
        data = json.loads(answer.body)
    except ValueError:
        return None
    health = Health.from_dict(data) if isinstance(data, dict) else None
    return health if health and health.service == server else None


def fault_of(c: Context, server: str, current: str | None) -> str:
    """What is wrong with a server as it runs, for a person; empty when nothing is.

    Args:
        c: the task's Context or Connection.
        server: its name.
        current: the release in use; None: there is none, and any will do.
    """
    endpoint = endpoint_of(c, server)
    health = ask(c, server, endpoint)
    if health is None:
        return f"{server} does not answer on {endpoint.url}"
    if health.status == "unhealthy":
        return f"{server}: {_illness(health)}"
    if current and health.release != current:
        return f"{server} runs release {health.release}, and {current} is in use"
    return ""


def difference(wanted: Wanted, health: Health | None) -> str:
    """How what runs differs from what should; empty when it does not."""
    if health is None:
        return "it does not answer"
    if health.release != wanted.release:
        return f"release {health.release} -> {wanted.release}"
    if health.configuration != wanted.configuration:
        return "its configuration has changed"
    if health.status == "unhealthy":
        return _illness(health)
    return ""


def _illness(health: Health) -> str:
    ill = ", ".join(f"{probe.name} {probe.value}" for probe in health.probes if probe.ok is False)
    return f"it is unhealthy: {ill or 'it does not say why'}"


def verdict(wanted: Wanted, health: Health | None, managed: Managed) -> Verdict:
    """What has to be done with a server.

    Args:
        wanted: what should run.
        health: what the server says of itself.
        managed: what its manager says.
    """
    if managed.starting and managed.touched:
        # It was started this moment, with all that is in place now: it only needs time.
        return Verdict("nothing", managed.touched)
    if managed.pid is None:
        return Verdict("start", f"it did not run ({managed.state.lower()})")
    if health is not None and health.pid != managed.pid:
        return Verdict("restart", f"pid {health.pid} answered in place of pid {managed.pid}")
    reason = difference(wanted, health)
    return Verdict("restart" if reason else "nothing", reason)
