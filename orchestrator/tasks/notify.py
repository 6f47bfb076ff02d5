"""Tells people something about a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command
from orchestrator.tasks.outcome import Outcome, records_no_undo
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from invoke.context import Context

PRIORITIES = {"P1": "crit", "P2": "err", "P3": "warning", "P4": "notice"}
"""The severities of the guide (8.4), as priorities of the system log (RFC 5424)."""


@task
@records_no_undo
def send(c: Context, message: str, severity: str = "P3") -> Outcome:
    """Put a message on the run, and into the host's system log where it has one.

    Args:
        c: the task's Context or Connection.
        message: one line.
        severity: ``P1`` to ``P4`` (guide 8.4).

    Raises:
        InvalidInput: another severity.
    """
    if severity not in PRIORITIES:
        raise InvalidInput(
            f"{severity!r} is not a severity", hint=f"write one of {', '.join(PRIORITIES)}"
        )
    told = f"{severity}: {message}"
    if scope(c).check:
        return Outcome(message=told)
    argv = ["logger", "-t", "sessionops", "-p", f"user.{PRIORITIES[severity]}", "--", told]
    logged = command.run(c, argv, check=False)
    return Outcome(message=told, outputs={"logged": logged.ok})
