"""What starts by itself on the host, through cron or systemd: the servers at boot, jobs by time."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command, crontab_table, units
from orchestrator.tasks.crontab import job_line
from orchestrator.tasks.outcome import Inverse, Outcome
from orchestrator.tasks.scope import scope
from orchestrator.tasks.service_manager import uses_systemd
from orchestrator.tasks.supervisor import daemon_argv
from orchestrator.tasks.systemd import service, unit
from orchestrator.tasks.systemd_servers import Systemd
from schemas.errors import InvalidInput, NotFound, StepFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from schemas.places import Places

_ENTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@task
def boot(c: Context, enabled: bool = True) -> Outcome:
    """Have the servers start when the machine does, or no longer.

    Where systemd runs, its units are enabled. Elsewhere cron's ``@reboot`` starts the service
    manager; without cron this is told, and no failure.

    Args:
        c: the task's Context or Connection.
        enabled: False takes the entry away.
    """
    if uses_systemd(c):
        changed = Systemd(c).start_at_boot(enabled)
        told = "enabled" if enabled else "disabled"
        undo = (Inverse("schedule.boot", {"enabled": not enabled}),) if changed else ()
        return Outcome(changed, told if changed else f"unchanged, {told}", undo=undo)
    return _set_boot(c, [boot_line(scope(c).places)] if enabled else None)


@task(iterable=["lines"])
def restore_boot(c: Context, lines: Sequence[str] = ()) -> Outcome:
    """Put the entry that starts the servers at boot back to these lines; none: no entry."""
    return _set_boot(c, list(lines) or None)


def boot_line(places: Places) -> str:
    """The line of a crontab that starts the service manager (crontab(5): ``%`` ends a command)."""
    line = shlex.join(str(word) for word in daemon_argv(places))
    return f"@reboot {line}".replace("%", "\\%")


def _set_boot(c: Context, lines: list[str] | None) -> Outcome:
    name = f"boot {scope(c).places.home}"
    text = crontab_table.read(c, hint="leave it out: invoke deploy --param start_at_boot=false")
    if text is None:
        if not lines:
            return Outcome(message="unchanged, there is no cron here")
        return Outcome(message="not set up: there is no cron here to start the servers at boot")
    done = crontab_table.set_block(
        c,
        text,
        name,
        lines,
        inverse=lambda old: Inverse("schedule.restore_boot", {"lines": old}),
    )
    told = "entry removed" if lines is None else "cron starts the servers at boot"
    return replace(done, message=told) if done.changed else done


@task
def cron(
    c: Context, name: str, at: str = "", line: str = "", user: str = "", state: str = "present"
) -> Outcome:
    """Have cron run a line at certain times, as an entry of its own in a user's crontab.

    Every other line of the crontab stays byte for byte.

    Args:
        c: the task's Context or Connection.
        name: the entry's name, by which it is found again.
        at: five fields (crontab(5)) such as ``0 2 * * *``, or ``@daily``, ``@reboot``.
        line: what sh runs.
        user: whose crontab; another's needs root. By default the login's own.
        state: ``present`` or ``absent``.

    Raises:
        InvalidInput: not such times, or more than one line.
        StepFailed: there is no cron, or it does not take the entry.
    """
    if not _ENTRY.fullmatch(name) or state not in {"present", "absent"}:
        raise InvalidInput(
            f"{name!r} with the state {state!r} is no entry",
            hint="a name of letters, digits, dots and dashes; present or absent",
        )
    lines = [job_line(at, line)] if state == "present" else None
    return _set_job(c, name, user, lines)


@task(iterable=["lines"])
def restore_cron(c: Context, name: str, user: str = "", lines: Sequence[str] = ()) -> Outcome:
    """Put an entry of ``schedule.cron`` back to these lines; none: no entry."""
    return _set_job(c, name, user, list(lines) or None)


def _set_job(c: Context, name: str, user: str, lines: list[str] | None) -> Outcome:
    text = crontab_table.read(c, user)
    if text is None:
        if lines is None:
            return Outcome(message="unchanged, there is no cron here")
        raise StepFailed(
            "there is no cron on this host",
            where=scope(c).host.name,
            hint="install it with packages.apt, or use schedule.timer where systemd runs",
        )
    given = {"name": name, "user": user}
    return crontab_table.set_block(
        c,
        text,
        f"job {name}",
        lines,
        inverse=lambda old: Inverse("schedule.restore_cron", {**given, "lines": old}),
        user=user,
    )


@task
def timer(
    c: Context,
    name: str,
    line: str = "",
    calendar: str = "",
    state: str = "present",
    persistent: bool = True,
    spread: str = "",
    folder: str = "",
) -> Outcome:
    """Have systemd run a line at certain times: a timer and the service that it starts.

    They are the system's for root and with ``sudo: true``, else the user's own.

    Args:
        c: the task's Context or Connection.
        name: of both units, without a kind.
        line: what sh runs.
        calendar: when, such as ``daily`` or ``Mon *-*-* 02:00`` (systemd.time(7)).
        state: ``present`` or ``absent``.
        persistent: make up for a time that was missed while the machine was off.
        spread: a delay of at most this, such as ``10min``, so that not all hosts begin at once.
        folder: where the line is run.

    Raises:
        InvalidInput: not the name of a unit, no line, or such times as systemd cannot read.
        StepFailed: systemd does not run on the host, or it refuses a unit.
    """
    service_unit, timer_unit = units.read_name(f"{name}.service"), units.read_name(f"{name}.timer")
    if state not in {"present", "absent"} or (state == "present" and not (line and calendar)):
        raise InvalidInput(
            "a timer needs a line and a calendar", hint="or write state: absent, to have none"
        )
    units.need_systemd(c)
    if state == "absent":
        stopped = _timer_stopped(c, timer_unit)
        parts = [
            unit(c, timer_unit, state="absent"),
            unit(c, service_unit, state="absent"),
        ]
        return joined([stopped, *parts])
    check_calendar(c, calendar)
    texts = units.timer_units(
        name, line, calendar, persistent=persistent, spread=spread, folder=folder
    )
    parts = [unit(c, service_unit, content=texts[service_unit])]
    parts.append(unit(c, timer_unit, content=texts[timer_unit], enabled=True))
    if scope(c).check:
        return joined(parts)
    wanted = "restarted" if parts[1].changed else "started"
    return joined([*parts, service(c, timer_unit, state=wanted)])


def _timer_stopped(c: Context, name: str) -> Outcome:
    try:
        stopped: Outcome = service(c, name, state="stopped")
    except NotFound:
        return Outcome()
    return stopped


def joined(parts: Sequence[Outcome]) -> Outcome:
    """What several tasks did, as one."""
    changed = [part for part in parts if part.changed]
    if not changed:
        return Outcome(message="unchanged")
    return Outcome(
        changed=True,
        message=", ".join(part.message for part in changed),
        diff="".join(part.diff for part in changed),
        undo=tuple(inverse for part in changed for inverse in part.undo),
    )


def check_calendar(c: Context, calendar: str) -> None:
    """See that systemd can read when something is to run.

    Raises:
        InvalidInput: it cannot.
    """
    answer = command.run(c, ["systemd-analyze", "calendar", "--", calendar], check=False)
    if not answer:
        raise InvalidInput(
            answer.stderr.strip().splitlines()[-1] if answer.stderr.strip() else "no such time",
            hint="try it with: systemd-analyze calendar 'Mon *-*-* 02:00'",
        )
