"""The two servers: that they run, the right release of them, with the configuration in place.

State is observed, not remembered: no restart depends on what this run has changed, so that a deploy
that died half-way is healed by the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import service_state
from orchestrator.tasks.check import disk
from orchestrator.tasks.managed import SERVERS
from orchestrator.tasks.outcome import Outcome, changes_nothing, records_no_undo
from orchestrator.tasks.release_record import current_release
from orchestrator.tasks.scope import scope
from orchestrator.tasks.service_manager import manager_of
from orchestrator.tasks.service_watch import (
    end_stray,
    end_strays,
    observe,
    own_listener,
    wait_until_right,
)
from schemas.errors import InvalidInput, NotFound, StepFailed
from schemas.units import parse_duration

if TYPE_CHECKING:
    from invoke.context import Context

    from orchestrator.tasks.managed import ServiceManager
    from orchestrator.tasks.service_state import Verdict
    from schemas.health import Health


@task
def install(c: Context) -> Outcome:
    """Put the service manager's configuration in place: for systemd, or else for supervisor."""
    return manager_of(c).install()


@task
@records_no_undo
def uninstall(c: Context) -> Outcome:
    """Stop both servers, and remove the service manager's configuration."""
    return manager_of(c).uninstall()


@task
@records_no_undo
def ensure(
    c: Context, name: str, release: str = "", wait: str = "30s", configured: bool = False
) -> Outcome:
    """See that a server runs as it should, and restart it only when it does not.

    Compared are the release that ``current`` names, the fingerprint of the configuration files, and
    its health. Without a release in use it is stopped.

    Args:
        c: the task's Context or Connection.
        name: ``session-buddy`` or ``mahavishnu``.
        release: what ``current`` is going to name; matters in check mode only.
        wait: how long the right release may take to answer healthy.
        configured: whether this run changes its configuration; matters in check mode only, where
            the files are still as they were.

    Outputs:
        release, pid.

    Raises:
        StepFailed: it did not become healthy; with the end of what it said.
    """
    _known(name)
    here, current = scope(c), current_release(c)
    if current is None:
        if here.check and release:
            return Outcome(changed=True, message=f"would be started with {release}")
        return _stop_all(c)
    manager = manager_of(c)
    wanted = service_state.wanted(c, name, release if here.check and release else current)
    managed, health = observe(c, manager, name, wanted)
    stray = "" if here.check else end_stray(c, name, wanted.endpoint, health, managed)
    verdict = service_state.verdict(wanted, health, managed)
    if here.check and configured and verdict.action == "nothing":
        verdict = service_state.Verdict("restart", "its configuration would change")
    if verdict.action == "nothing" and not managed.touched and not stray:
        return _outcome(health, False, f"unchanged: {current}, {health.status if health else ''}")
    if here.check:
        return Outcome(changed=True, message=f"would {verdict.action}: {verdict.reason}")
    _act(manager, name, verdict)
    right = wait_until_right(c, manager, name, wanted, parse_duration(wait))
    done = {"start": "started", "restart": "restarted", "nothing": "started"}[verdict.action]
    return _outcome(right, True, f"{done}: {stray or verdict.reason}")


def _known(name: str) -> None:
    if name not in SERVERS:
        raise InvalidInput(f"there is no server {name!r}", hint=f"write {' or '.join(SERVERS)}")


def _outcome(health: Health | None, changed: bool, message: str) -> Outcome:
    outputs = {"release": health.release, "pid": health.pid} if health else {}
    return Outcome(changed=changed, message=message, outputs=outputs)


def _act(manager: ServiceManager, name: str, verdict: Verdict) -> None:
    if verdict.action == "start":
        manager.start(name)
    elif verdict.action == "restart":
        manager.restart(name)


@task
@records_no_undo
def restart(c: Context, name: str, wait: str = "30s") -> Outcome:
    """Restart a server and wait until it is healthy (guide 8.3).

    Raises:
        NotFound: no release is in use.
        StepFailed: it did not become healthy.
    """
    _known(name)
    current = current_release(c)
    if current is None:
        raise NotFound("no release is in use", where=scope(c).host.name, hint="invoke deploy first")
    if scope(c).check:
        return Outcome(changed=True, message="would be restarted")
    manager, wanted = manager_of(c), service_state.wanted(c, name, current)
    managed, health = observe(c, manager, name, wanted)
    end_stray(c, name, wanted.endpoint, health, managed)
    manager.restart(name)
    right = wait_until_right(c, manager, name, wanted, parse_duration(wait))
    return _outcome(right, True, f"restarted: pid {right.pid}")


@task
@records_no_undo
def stop(c: Context, name: str) -> Outcome:
    """Stop a server; one that is stopped stays so."""
    _known(name)
    if current_release(c) is None:
        return _stop_all(c)
    manager = manager_of(c)
    managed = manager.look(name)
    pid = own_listener(c, name, service_state.endpoint_of(c, name))
    if managed.idle and pid is None:
        return Outcome(message="unchanged, it does not run")
    if scope(c).check:
        return Outcome(changed=True, message="would be stopped")
    if not managed.idle:
        manager.stop(name)
    end_strays(c, [name])
    return Outcome(changed=True, message="stopped")


def _stop_all(c: Context) -> Outcome:
    """Stop what runs without a release in use: the commands to do it properly are gone with it."""
    endpoints = {name: service_state.endpoint_of(c, name) for name in SERVERS}
    running = [name for name in SERVERS if own_listener(c, name, endpoints[name]) is not None]
    if not scope(c).check:
        manager_of(c).shut_down()
        end_strays(c, SERVERS)
    if not running:
        return Outcome(message="stopped, since no release is in use")
    return Outcome(changed=True, message=f"{' and '.join(running)} stopped: no release is in use")


@task
@changes_nothing
def status(c: Context, name: str = "") -> Outcome:
    """Say how a server is, or both."""
    lines, outputs = [], {}
    for server in [name] if name else SERVERS:
        _known(server)
        endpoint = service_state.endpoint_of(c, server)
        health = service_state.ask(c, server, endpoint)
        if health is None:
            lines.append(f"{server}: does not answer on {endpoint.url}")
            outputs[server] = {"status": "stopped"}
            continue
        lines.append(f"{server}: {health.status}, release {health.release}, pid {health.pid}")
        outputs[server] = health.as_dict()
    return Outcome(message="\n".join(lines), outputs=outputs)


@task
@changes_nothing
def check(c: Context, min_disk: str = "0B") -> Outcome:
    """See that both servers are healthy and run what is in use, and that there is room for data.

    Everything is looked at, whatever is ill.

    Args:
        c: the task's Context or Connection.
        min_disk: room that there must be for the database, such as ``500MB``.

    Raises:
        StepFailed: names all that is ill.
    """
    here, current = scope(c), current_release(c)
    faults = [service_state.fault_of(c, server, current) for server in SERVERS]
    told = ""
    try:
        told = disk(c, str(here.places.tracker_home), min_disk).message
    except StepFailed as error:
        faults.append(error.message)
    ill = [fault for fault in faults if fault]
    if ill:
        raise StepFailed(
            "; ".join(ill), where=here.host.name, hint="invoke deploy puts the servers right"
        )
    return Outcome(message=f"{' and '.join(SERVERS)} are well, {told}")


@task
@records_no_undo
def shutdown(c: Context) -> Outcome:
    """Stop both servers and what keeps them running, until the next deploy or boot.

    Raises:
        StepFailed: a part of it goes on running.
    """
    if scope(c).check:
        return Outcome(changed=True, message="would be shut down")
    manager = manager_of(c)
    ran = manager.shut_down()
    strays = end_strays(c, SERVERS)
    if not ran and not strays:
        return Outcome(message="unchanged, nothing ran")
    return Outcome(changed=True, message=f"shut down ({manager.name})")
