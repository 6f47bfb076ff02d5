"""Commands of the release on the host, ``session-buddy`` and ``mahavishnu``, as steps."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from orchestrator.tasks import programs
from orchestrator.tasks.outcome import Outcome, changes_nothing, records_no_undo
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed
from schemas.units import parse_duration

if TYPE_CHECKING:
    from invoke.context import Context

    from orchestrator.tasks.command import Result

_SHOWN = 160


@task
@changes_nothing
def ask(c: Context, command: str, wait: str = "60s", may_fail: bool = False) -> Outcome:
    """Run a command of the release that only looks; also in check mode.

    Args:
        c: the task's Context or Connection.
        command: such as ``session-buddy list-sessions --limit 1 --json``.
        wait: how long it may take.
        may_fail: another exit code than 0 is an answer too.

    Outputs:
        ok, exit_code, text, answer: what it printed as JSON, or nothing.

    Raises:
        StepFailed: it failed.
    """
    return _outcome(_run(c, command, wait, check=not may_fail), changed=False)


@task
@records_no_undo
def run(c: Context, command: str, wait: str = "10m") -> Outcome:
    """Run a command of the release that changes something; nothing takes that back by itself.

    Arguments, outputs and errors as those of ``program.ask``.
    """
    if scope(c).check:
        return Outcome(changed=True, message=f"would run {command}")
    return _outcome(_run(c, command, wait, check=True), changed=True)


def _run(c: Context, command: str, wait: str, *, check: bool) -> Result:
    program, *arguments = shlex.split(command)
    return programs.run(c, program, arguments, timeout=parse_duration(wait), check=check)


def _outcome(result: Result, *, changed: bool) -> Outcome:
    outputs: dict[str, Any] = {
        "ok": result.ok,
        "exit_code": result.exit_code,
        "text": (result.stdout or result.stderr).strip(),
        "answer": _json(result.stdout),
    }
    lines = outputs["text"].splitlines()
    shown = lines[0][:_SHOWN] if lines and outputs["answer"] is None else ""
    return Outcome(changed=changed, message=shown or _told(result), outputs=outputs)


def _told(result: Result) -> str:
    return "answered" if result.ok else f"ended with {result.exit_code}"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@task
@changes_nothing
def see(c: Context, condition: bool, message: str, hint: str = "") -> Outcome:
    """See that a condition holds, such as one on what an earlier step found.

    Args:
        c: the task's Context or Connection.
        condition: whether it holds.
        message: what is wrong when it does not.
        hint: what to do then.

    Raises:
        StepFailed: it does not hold.
    """
    if not condition:
        raise StepFailed(message, where=scope(c).host.name, hint=hint)
    return Outcome(message="it is so")
