"""Looks at a server until it is known how it is: now, after a start, and outside its manager."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from orchestrator.tasks import processes, service_state
from orchestrator.tasks.listeners import is_ours, listener
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed
from schemas.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from orchestrator.tasks.managed import Managed, ServiceManager
    from orchestrator.tasks.service_state import Endpoint, Wanted
    from schemas.health import Health

_POLL = 0.1
_MANAGER_POLL = 1.0
_SETTLING = 8.0
_GRACE = 15.0
_FAULT = re.compile(r"\w*(?:error|exception)\b.*:", re.IGNORECASE)


def observe(
    c: Context, manager: ServiceManager, name: str, wanted: Wanted
) -> tuple[Managed, Health | None]:
    """How the manager sees a server, and what the server says.

    One that was started a moment ago gets the time to answer, before it is called silent.
    """
    managed = manager.look(name) if scope(c).check else manager.refresh(name)
    deadline = time.monotonic() + _SETTLING
    while True:
        health = service_state.ask(c, name, wanted.endpoint)
        answers = health is not None and health.pid == managed.pid
        waiting = managed.starting and not managed.touched and time.monotonic() < deadline
        if answers or not waiting:
            return managed, health
        time.sleep(_POLL)
        managed = manager.look(name)


def wait_until_right(
    c: Context, manager: ServiceManager, name: str, wanted: Wanted, seconds: float
) -> Health:
    """What the server says once it is the one that should run.

    Raises:
        StepFailed: it is not in time, or its manager has given it up; with what it said.
    """
    limit = scope(c).remaining(seconds)
    started = looked = time.monotonic()
    while True:
        health = service_state.ask(c, name, wanted.endpoint)
        reason = service_state.difference(wanted, health)
        if health is not None and not reason:
            return health
        moment = time.monotonic()
        if moment - started > limit:
            raise _not_healthy(c, manager, name, f"after {format_duration(limit)} {reason}")
        if moment - looked > _MANAGER_POLL:
            looked = moment
            managed = manager.look(name)
            if managed.given_up:
                told = f"it ended each time it was started ({managed.state})"
                raise _not_healthy(c, manager, name, told)
        time.sleep(_POLL)


def _not_healthy(c: Context, manager: ServiceManager, name: str, reason: str) -> StepFailed:
    said = last_fault(manager.log_tail(name))
    told = f"; it said: {said}" if said else "; it said nothing"
    return StepFailed(f"{name} is not healthy: {reason}{told}", where=scope(c).host.name)


def last_fault(lines: Sequence[str]) -> str:
    """The line of a log's end that says most likely why a server died; empty when there is none."""
    said = [line.strip() for line in lines if line.strip()]
    faults = [line for line in said if _FAULT.search(line)]
    return (faults or said or [""])[-1]


def own_listener(c: Context, name: str, endpoint: Endpoint) -> int | None:
    """The PID of this deployment's server, if it listens there."""
    holder = listener(c, endpoint.host, endpoint.port)
    if holder is None or holder.pid is None or not is_ours(c, holder.pid, name):
        return None
    return holder.pid


def end_stray(
    c: Context, name: str, endpoint: Endpoint, health: Health | None, managed: Managed
) -> str:
    """End a server of this deployment that its manager does not know, and say so.

    One is left when the manager was killed, or when somebody started the server by hand before.
    """
    if health is not None and health.pid == managed.pid:
        return ""
    pid = own_listener(c, name, endpoint)
    if pid is None or pid == managed.pid:
        return ""
    processes.end(c, [pid], _GRACE)
    return f"pid {pid} ran without its service manager, and was ended"


def end_strays(c: Context, names: Sequence[str]) -> list[int]:
    """End these servers of this deployment, whoever started them.

    Returns:
        The PIDs of those that ran.

    Raises:
        StepFailed: one goes on running.
    """
    found = [own_listener(c, name, service_state.endpoint_of(c, name)) for name in names]
    pids = [pid for pid in found if pid is not None]
    processes.end(c, pids, _GRACE)
    for pid in pids:
        if processes.is_running(c, pid):
            raise StepFailed(
                f"the server with pid {pid} could not be ended",
                where=scope(c).host.name,
                hint=f"as its owner: kill {pid}",
            )
    return pids
