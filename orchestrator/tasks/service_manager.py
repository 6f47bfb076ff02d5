"""Which service manager keeps the servers running on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from orchestrator.tasks.supervisor import Supervisor
from orchestrator.tasks.systemd_servers import Systemd
from tracker.web.manager import SYSTEMD_RUNS

if TYPE_CHECKING:
    from invoke.context import Context

    from orchestrator.tasks.managed import ServiceManager


def uses_systemd(c: Context) -> bool:
    """Whether the servers are systemd units: it is process 1, and this is the user's usual home.

    Units have one name a machine, so a deployment in another home keeps to itself with supervisor.
    """
    here = scope(c)
    usual = here.places.home == here.host.home / ".mahavishnu"
    return usual and command.run(c, ["test", "-d", SYSTEMD_RUNS], check=False).ok


def manager_of(c: Context) -> ServiceManager:
    """The service manager of this deployment."""
    return Systemd(c) if uses_systemd(c) else Supervisor(c)
