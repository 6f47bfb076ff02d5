"""Tells people something about a run: on the run, in the system log, and where they look."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command
from orchestrator.tasks.delivery import deliver
from orchestrator.tasks.outcome import Outcome, records_no_undo
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed
from schemas.settings import Settings

if TYPE_CHECKING:
    from invoke.context import Context

PRIORITIES = {"P1": "crit", "P2": "err", "P3": "warning", "P4": "notice"}
"""The severities of the guide (8.4), as priorities of the system log (RFC 5424)."""
URLS = "mahavishnu.notify_urls"
"""The setting that says where people are told."""
_CHOICES = ("", "log", "people")


@task
@records_no_undo
def send(
    c: Context, message: str, severity: str = "P3", to: str = "", title: str = "", env: str = ""
) -> Outcome:
    """Put a message on the run, into the host's system log where it has one, and before people.

    People are told by this machine, through the services that ``mahavishnu.notify_urls`` names:
    mail, Slack, PagerDuty and others that Apprise knows. A runbook on many hosts tells them
    once a host; ``run_once: true`` on the step makes it once.

    Args:
        c: the task's Context or Connection.
        message: one line or more.
        severity: ``P1`` to ``P4`` (guide 8.4).
        to: ``log``: the system log only; ``people``: a failure when nobody is configured; empty:
            the system log, and people when somebody is.
        title: above the message; by default the severity and the host.
        env: a variable of this machine's environment with the addresses, in place of the setting.

    Outputs:
        logged: whether it is in the system log; told: how many services took it.

    Raises:
        InvalidInput: another severity or receiver, or an address that Apprise does not know.
        StepFailed: nobody is configured, or a service does not take it; without its address.
    """
    if severity not in PRIORITIES:
        raise InvalidInput(
            f"{severity!r} is not a severity", hint=f"write one of {', '.join(PRIORITIES)}"
        )
    if to not in _CHOICES:
        raise InvalidInput(f"{to!r} is not a receiver", hint="write log or people, or leave it out")
    here = scope(c)
    told, urls = f"{severity}: {message}", [] if to == "log" else _urls(c, env)
    if to == "people" and not urls:
        raise StepFailed(
            "nobody is configured to be told",
            where=here.host.name,
            hint="set MAHAVISHNU_NOTIFY_URLS, such as mailtos://user:password@example.org",
        )
    if here.check:
        return Outcome(message=told, outputs={"logged": False, "told": 0})
    logged = _log(c, told, severity) if to != "people" else False
    text = here.secrets.mask(message)
    above = here.secrets.mask(title) or f"{severity} {here.host.name}: sessionops"
    count = deliver(urls, above, text, severity) if urls else 0
    return Outcome(message=told, outputs={"logged": logged, "told": count})


def _log(c: Context, told: str, severity: str) -> bool:
    argv = ["logger", "-t", "sessionops", "-p", f"user.{PRIORITIES[severity]}", "--", told]
    return command.run(c, argv, check=False).ok


def _urls(c: Context, env: str) -> list[str]:
    """Where people are told, as this machine knows; each is masked from now on."""
    here = scope(c)
    if env:
        text = os.environ.get(env, "")
    else:
        # The settings of another host do not say where this machine tells people.
        local = here.host.connection == "local"
        text = (here.settings if local else Settings.load()).text(URLS)
    urls = text.split()
    for url in urls:
        here.secrets.add(url)
    return urls
