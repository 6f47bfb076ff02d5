"""Processes of the user's own on hosts without systemd: started, stopped, signalled.

It does not restart what crashes: that is a service manager's work.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command, kept, probing
from orchestrator.tasks.outcome import (
    Inverse,
    Outcome,
    PartlyDone,
    changes_nothing,
    records_no_undo,
)
from orchestrator.tasks.placing import absolute
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed
from schemas.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context


@task(iterable=["argv"])
def start(
    c: Context,
    name: str,
    argv: Sequence[str],
    folder: str = "",
    settings: str = "",
    log: str = "",
    port: int = 0,
    host: str = "127.0.0.1",
    wait: str = "10s",
    stop_signal: str = "TERM",
    grace: str = "10s",
) -> Outcome:
    """Have a process running; one that was started otherwise is restarted.

    It gets a session of its own and outlives the run. What it is known by is its PID with its start
    time. A changed settings file is not noticed: use ``process.restart``.

    Args:
        c: the task's Context or Connection.
        name: what it is called here.
        argv: program and arguments; no secrets, since every user can see them.
        folder: where it starts; by default the user's home.
        settings: a file of ``NAME=value`` lines for its environment; secrets go there (0600).
        log: the file that its output is added to.
        port: wait until this port answers; 0: until it has lived for a moment.
        host: the address of that port.
        wait: how long the port may take.
        stop_signal: what a former one is asked to end with.
        grace: how long it may take to end.

    Outputs:
        pid.

    Raises:
        StepFailed: it ended at once, or its port does not answer; with the end of its log.
    """
    described = _described(c, name, argv, folder, settings, log)
    now = kept.look(c, name)
    if now.pid is not None and now.described == described:
        if port and not scope(c).check:
            _wait_for(c, name, described, now.pid, int(port), host, wait)
        return Outcome(message=f"unchanged, pid {now.pid}", outputs={"pid": now.pid})
    told = "started" if now.pid is None else "restarted"
    diff = _difference(now, described)
    if scope(c).check:
        return Outcome(changed=True, message=f"would be {told}", diff=diff)
    kept.stop(c, now, stop_signal, parse_duration(grace))
    pid = kept.start(c, name, described)
    outcome = Outcome(True, f"{told}: pid {pid}", diff, {"pid": pid}, _undo(name, now))
    try:
        _wait_for(c, name, described, pid, int(port), host, wait)
    except StepFailed as error:
        raise PartlyDone(error.message, outcome, where=error.where, hint=error.hint) from None
    return outcome


@task(iterable=["argv"])
def restart(
    c: Context,
    name: str,
    argv: Sequence[str] = (),
    folder: str = "",
    settings: str = "",
    log: str = "",
    port: int = 0,
    host: str = "127.0.0.1",
    wait: str = "10s",
    stop_signal: str = "TERM",
    grace: str = "10s",
) -> Outcome:
    """Stop a process and start it again; without ``argv`` as it was started before.

    Arguments, outputs and errors as for ``process.start``.
    """
    now = kept.look(c, name)
    if argv:
        described = _described(c, name, argv, folder, settings, log)
    elif now.described is not None:
        described = now.described
    else:
        raise StepFailed(
            f"{name} was never started here", where=scope(c).host.name, hint="give it argv"
        )
    if scope(c).check:
        return Outcome(True, "would be restarted", _difference(now, described))
    kept.stop(c, now, stop_signal, parse_duration(grace))
    pid = kept.start(c, name, described)
    same = now.pid is not None and now.described == described
    undo = () if same else _undo(name, now)
    outcome = Outcome(True, f"restarted: pid {pid}", "", {"pid": pid}, undo)
    try:
        _wait_for(c, name, described, pid, int(port), host, wait)
    except StepFailed as error:
        raise PartlyDone(error.message, outcome, where=error.where, hint=error.hint) from None
    return outcome


@task
def stop(c: Context, name: str, stop_signal: str = "TERM", grace: str = "10s") -> Outcome:
    """Stop a process and its children; one that does not run stays so. The undo starts it again.

    Args:
        c: the task's Context or Connection.
        name: what it is called here.
        stop_signal: what it is asked to end with.
        grace: how long until it is ended without being asked.

    Raises:
        StepFailed: it goes on running.
    """
    seconds, now = parse_duration(grace), kept.look(c, name)
    kept.read_signal(stop_signal)
    if now.pid is None:
        return Outcome(message="unchanged, it does not run")
    diff = f"- pid {now.pid}: {_line(now.described)}\n"
    if scope(c).check:
        return Outcome(changed=True, message="would be stopped", diff=diff)
    kept.stop(c, now, stop_signal, seconds)
    undo = (_start_again(name, now.described),) if now.described else ()
    return Outcome(changed=True, message=f"stopped: pid {now.pid}", diff=diff, undo=undo)


@task
@records_no_undo
def signal(c: Context, name: str, signal: str = "HUP") -> Outcome:
    """Send a signal to a process, to have it read its configuration again perhaps.

    Raises:
        InvalidInput: not a signal.
        StepFailed: it does not run.
    """
    number, now = kept.read_signal(signal), kept.look(c, name)
    if now.pid is None:
        raise StepFailed(
            f"{name} does not run", where=scope(c).host.name, hint="process.start starts it"
        )
    if not scope(c).check:
        command.run(c, kept.signal_argv(now.pid, now.moment, number))
    return Outcome(changed=True, message=f"{number} to pid {now.pid}", outputs={"pid": now.pid})


@task
@changes_nothing
def status(c: Context, name: str) -> Outcome:
    """Say whether a process runs.

    Outputs:
        running, pid.
    """
    now = kept.look(c, name)
    told = "does not run" if now.pid is None else f"runs: pid {now.pid}, {_line(now.described)}"
    return Outcome(message=told, outputs={"running": now.pid is not None, "pid": now.pid or 0})


def _described(
    c: Context, name: str, argv: Sequence[str], folder: str, settings: str, log: str
) -> kept.Described:
    words = (argv,) if isinstance(argv, str) else tuple(str(word) for word in argv)
    if not words:
        raise InvalidInput(f"{name} has no program to run", hint="argv: [/srv/app/bin/app]")
    here = scope(c)
    if any(here.secrets.is_in(word) for word in words):
        raise InvalidInput(
            f"a secret is among the arguments of {name}",
            hint="every user can see them: put it into a settings file with secret.place",
        )
    places = here.places
    return kept.Described(
        words,
        str(absolute(folder) if folder else here.host.home),
        str(absolute(log) if log else places.log / f"{name}.log"),
        str(absolute(settings)) if settings else "",
    )


def _wait_for(
    c: Context, name: str, described: kept.Described, pid: int, port: int, host: str, wait: str
) -> None:
    """See that it lives, and that its port answers.

    Raises:
        StepFailed: one of both is not so.
    """
    where, ended = scope(c).host.name, False

    def is_settled() -> bool:
        nonlocal ended
        ended = kept.look(c, name).pid != pid
        return ended or bool(port and probing.answers(c, host, port))

    # Without a port nothing tells that it is up; what fails does so in its first moments mostly.
    seconds = parse_duration(wait) if port else 3 * probing.POLL
    settled = probing.wait_until(c, is_settled, seconds)
    if ended:
        raise StepFailed(
            f"{name} ended at once: {kept.log_tail(c, described) or 'it said nothing'}",
            where=where,
            hint=f"its log: {described.log}",
        )
    if port and not settled:
        raise StepFailed(
            f"{name} (pid {pid}) does not answer on {host}:{port} after {wait}: "
            f"{kept.log_tail(c, described) or 'it said nothing'}",
            where=where,
            hint=f"its log: {described.log}",
        )


def _undo(name: str, before: kept.Kept) -> tuple[Inverse, ...]:
    """Takes a start back: stops it, or starts what ran before."""
    if before.pid is not None and before.described is not None:
        return (_start_again(name, before.described),)
    return (Inverse("process.stop", {"name": name}),)


def _start_again(name: str, described: kept.Described) -> Inverse:
    return Inverse(
        "process.start",
        {
            "name": name,
            "argv": list(described.argv),
            "folder": described.folder,
            "log": described.log,
            "settings": described.settings,
        },
    )


def _difference(now: kept.Kept, described: kept.Described) -> str:
    old = f"- {_line(now.described)}\n" if now.pid is not None else ""
    return f"{old}+ {_line(described)}\n"


def _line(described: kept.Described | None) -> str:
    return shlex.join(described.argv) if described else "?"
