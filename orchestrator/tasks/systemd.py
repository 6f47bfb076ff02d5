"""Units of the user's own under systemd: placed, enabled, started, stopped, reloaded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command, units
from orchestrator.tasks.config import rendered
from orchestrator.tasks.files import remove as remove_file
from orchestrator.tasks.outcome import Inverse, Outcome, PartlyDone, records_no_undo
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, NotFound, StepFailed
from schemas.units import parse_duration

if TYPE_CHECKING:
    from invoke.context import Context

_TAIL = 10
_POLL = 0.1


@task
def unit(
    c: Context,
    name: str,
    template: str = "",
    content: str = "",
    state: str = "present",
    enabled: bool | None = None,
) -> Outcome:
    """Have a unit in place, which ``systemd-analyze verify`` accepts, or none of that name.

    It is the system's for root and with ``sudo: true``, else the user's own. systemd reads it
    again; nothing is started or restarted: that is ``systemd.service``.

    Args:
        c: the task's Context or Connection.
        name: such as ``app.service``; without a kind it is a service.
        template: a file in ``templates/`` that renders to it, or an absolute path.
        content: the unit itself, in place of a template.
        state: ``present`` or ``absent``; an absent one is disabled first, not stopped.
        enabled: whether it starts at boot; left as it is when not said.

    Raises:
        InvalidInput: not the name of a unit, or neither template nor content.
        StepFailed: systemd does not run on the host, or it refuses the unit.
    """
    name, at_boot = units.read_name(name), _flag(enabled)
    if state not in {"present", "absent"}:
        raise InvalidInput(f"{state!r} is not a state", hint="write present or absent")
    if state == "present" and bool(template) == bool(content):
        raise InvalidInput("a unit is made of a template or of content", hint="write one of them")
    user = units.need_systemd(c)
    if state == "absent":
        return _remove(c, name, user=user)
    text = content or rendered(c, template)
    placed = units.place_unit(c, name, text if text.endswith("\n") else f"{text}\n", user=user)
    if placed.changed and not scope(c).check:
        units.reload_units(c, user=user)
    undo = (Inverse("systemd.daemon_reload"), *placed.undo) if placed.changed else ()
    switched = Outcome()
    if at_boot is not None:
        switched = _switch(c, name, on=at_boot, user=user, new=placed.changed)
    if not placed.changed and not switched.changed:
        return Outcome(message="unchanged")
    told = [placed.message] * placed.changed + [switched.message] * switched.changed
    return Outcome(True, ", ".join(told), placed.diff + switched.diff, undo=undo + switched.undo)


def _flag(value: bool | str | None) -> bool | None:
    """An optional flag, which is a text when it comes from a command line.

    Raises:
        InvalidInput: another text than true or false.
    """
    known = {"true": True, "false": False, "": None}
    if isinstance(value, str) and value.lower() not in known:
        raise InvalidInput(f"enabled is {value!r}", hint="write true or false")
    return known[value.lower()] if isinstance(value, str) else value


def _remove(c: Context, name: str, *, user: bool) -> Outcome:
    switched = _switch(c, name, on=False, user=user)
    gone = remove_file(c, str(units.folder_of(c, user=user) / name))
    if not gone.changed:
        return Outcome(message="unchanged")
    if not scope(c).check:
        units.reload_units(c, user=user)
    undo = (*switched.undo, Inverse("systemd.daemon_reload"), *gone.undo)
    return Outcome(True, gone.message, switched.diff + gone.diff, undo=undo)


@task
@records_no_undo
def daemon_reload(c: Context) -> Outcome:
    """Have systemd read its units again.

    Raises:
        StepFailed: systemd does not run on the host.
    """
    user = units.need_systemd(c)
    if not scope(c).check:
        units.reload_units(c, user=user)
    return Outcome(message="units read again")


@task
def enable(c: Context, name: str, enabled: bool = True) -> Outcome:
    """Have a unit start at boot (a user's own: with its lingering manager), or no longer.

    Raises:
        NotFound: there is no such unit.
        StepFailed: systemd does not run on the host, or the unit cannot be enabled.
    """
    user = units.need_systemd(c)
    return _switch(c, units.read_name(name), on=enabled, user=user)


def _switch(c: Context, name: str, *, on: bool, user: bool, new: bool = False) -> Outcome:
    answer = command.run(c, units.systemctl_argv("is-enabled", [name], user=user), check=False)
    now = answer.stdout.strip()
    if now.startswith("enabled") == on:
        return Outcome(message="unchanged")
    told = "enabled" if on else "disabled"
    if on and now in {"static", "masked", "generated", "transient"}:
        raise StepFailed(
            f"{name} is {now} and cannot be enabled",
            where=scope(c).host.name,
            hint="give it an [Install] section" if now == "static" else "see: systemctl status",
        )
    # Of a unit that is about to be written systemd knows nothing yet.
    if on and not now and not (new and scope(c).check):
        raise NotFound(f"there is no unit {name}", where=scope(c).host.name)
    diff = f"  {name}: {now or 'disabled'} -> {told}\n"
    if scope(c).check:
        return Outcome(changed=True, message=f"would be {told}", diff=diff)
    command.run(c, units.systemctl_argv("enable" if on else "disable", [name], user=user))
    if on and user:
        # Without it the user's units start at login only, and end with the last session.
        command.run(c, ["loginctl", "enable-linger", scope(c).host.user], check=False)
    undo = Inverse("systemd.enable", {"name": name, "enabled": not on})
    return Outcome(True, told, diff, undo=(undo,))


@task
def service(c: Context, name: str, state: str = "started", wait: str = "30s") -> Outcome:
    """Have a unit of the user's own started or stopped, or restart or reload it.

    The undo of a start is a stop and the other way round. A restart or reload of one that ran is
    not undone.

    Args:
        c: the task's Context or Connection.
        name: such as ``app.service``; without a kind it is a service.
        state: ``started``, ``stopped``, ``restarted``, ``reloaded``; the last two start one that
            does not run.
        wait: how long it may take until it is active.

    Outputs:
        pid, state.

    Raises:
        InvalidInput: no such state.
        NotFound: there is no such unit.
        StepFailed: systemd does not run on the host; or the unit failed, with the end of its log.
    """
    name, wanted = units.read_name(name), _state(state)
    user = units.need_systemd(c)
    shown = _shown(c, name, user=user)
    if shown.get("LoadState") == "not-found":
        raise NotFound(
            f"there is no unit {name}", where=scope(c).host.name, hint="systemd.unit makes one"
        )
    verbs, before = units.verbs_for(wanted, shown), shown.get("ActiveState", "unknown")
    if not verbs:
        return Outcome(message=f"unchanged, {before}", outputs=_outputs(shown))
    if scope(c).check:
        return Outcome(True, f"would be {state}", f"  {name}: {before}, {verbs[-1]}\n")
    undo: tuple[Inverse, ...] = ()
    if verbs[-1] in {"start", "stop"} or before in {"inactive", "failed"}:
        back = "started" if verbs[-1] == "stop" else "stopped"
        undo = (Inverse("systemd.service", {"name": name, "state": back}),)
    for verb in verbs:
        names = [] if verb == "daemon-reload" else [name]
        # Why it failed is in its log, which is told below.
        command.run(c, units.systemctl_argv(verb, names, user=user), check=verb != verbs[-1])
    after = _settled(c, name, parse_duration(wait), user=user)
    now = after.get("ActiveState", "unknown")
    diff = f"  {name}: {before} -> {now}\n"
    outcome = Outcome(True, f"{state}: {now}", diff, _outputs(after), undo)
    if (now == "active") == (wanted == "stopped") and not _ran_through(after):
        raise PartlyDone(
            f"{name} is {now} ({after.get('Result', '')}): {_log_tail(c, name, user=user)}",
            outcome,
            where=scope(c).host.name,
            hint=f"journalctl {'--user-unit' if user else '--unit'} {name} says more",
        )
    return outcome


def _ran_through(shown: dict[str, str]) -> bool:
    """Whether a unit of ``Type=oneshot`` did what it had to."""
    return shown.get("ActiveState") == "inactive" and shown.get("Result") == "success"


def _state(state: str) -> units.State:
    for one in units.STATES:
        if one == state:
            return one
    raise InvalidInput(f"{state!r} is not a state", hint=f"write one of {', '.join(units.STATES)}")


def _shown(c: Context, name: str, *, user: bool) -> dict[str, str]:
    return units.shown_in(command.run(c, units.show_argv(name, user=user)).stdout)


def _settled(c: Context, name: str, wait: float, *, user: bool) -> dict[str, str]:
    deadline = time.monotonic() + scope(c).remaining(wait)
    while True:
        shown = _shown(c, name, user=user)
        busy = shown.get("ActiveState") in {"activating", "deactivating", "reloading"}
        if not busy or time.monotonic() > deadline:
            return shown
        time.sleep(_POLL)


def _outputs(shown: dict[str, str]) -> dict[str, object]:
    return {"pid": int(shown.get("MainPID") or 0), "state": shown.get("ActiveState", "unknown")}


def _log_tail(c: Context, name: str, *, user: bool) -> str:
    which = ["--user-unit" if user else "--unit", name]
    argv = ["journalctl", "--no-pager", "-o", "cat", "-n", str(_TAIL), *which]
    return " | ".join(command.run(c, argv, check=False).stdout.splitlines()[-3:])
