"""What starts by itself on the host: the servers at boot, through the user's crontab or systemd."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command
from orchestrator.tasks.crontab import block_of, with_block, without_block
from orchestrator.tasks.outcome import Inverse, Outcome
from orchestrator.tasks.placing import difference
from orchestrator.tasks.scope import scope
from orchestrator.tasks.service_manager import uses_systemd
from orchestrator.tasks.supervisor import daemon_argv
from orchestrator.tasks.systemd_servers import Systemd
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from schemas.places import Places

_NOT_FOUND = 127


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
    return _set_block(c, [boot_line(scope(c).places)] if enabled else None)


@task(iterable=["lines"])
def restore_boot(c: Context, lines: Sequence[str] = ()) -> Outcome:
    """Put the entry that starts the servers at boot back to these lines; none: no entry."""
    return _set_block(c, list(lines) or None)


def boot_line(places: Places) -> str:
    """The line of a crontab that starts the service manager (crontab(5): ``%`` ends a command)."""
    line = shlex.join(str(word) for word in daemon_argv(places))
    return f"@reboot {line}".replace("%", "\\%")


def _set_block(c: Context, lines: list[str] | None) -> Outcome:
    name = f"boot {scope(c).places.home}"
    text = _read(c)
    if text is None:
        if not lines:
            return Outcome(message="unchanged, there is no cron here")
        return Outcome(message="not set up: there is no cron here to start the servers at boot")
    old = block_of(text, name)
    if old == lines:
        return Outcome(message="unchanged")
    new = without_block(text, name) if lines is None else with_block(text, name, lines)
    diff = difference("crontab", text.encode(), new.encode())
    if not scope(c).check:
        command.run(c, ["crontab", "-"], input=new)
    undo = Inverse("schedule.restore_boot", {"lines": old or []})
    message = "entry removed" if lines is None else "cron starts the servers at boot"
    return Outcome(changed=True, message=message, diff=diff, undo=(undo,))


def _read(c: Context) -> str | None:
    """The user's crontab; None when there is no cron.

    Raises:
        StepFailed: cron does not let this user have one.
    """
    answer = command.run(c, ["crontab", "-l"], env={"LC_ALL": "C"}, check=False)
    if answer.exit_code == _NOT_FOUND:
        return None
    if answer or "no crontab for" in answer.stderr.lower():
        return answer.stdout
    raise StepFailed(
        f"the crontab cannot be read: {answer.stderr.strip()}",
        where=scope(c).host.name,
        hint="leave it out: invoke deploy --param start_at_boot=false",
    )
