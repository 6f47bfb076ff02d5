"""``invoke runbook.*`` about runs that exist: go on with one, take one back, stop one, answer one.

Knows options and exit codes; what is done is decided in ``orchestrator.runs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.tasks import task

from orchestrator.door.answers import say, told
from orchestrator.door.running import OVERRIDE, parameters

if TYPE_CHECKING:
    from invoke.context import Context

    from orchestrator.engine.run import RunResult

_RUN = "the run, the beginning of its name, or latest"
YES = "with a token of the automation: do not ask for the environment's name"


@task(
    iterable=["param"],
    help={
        "run": _RUN,
        "param": "a secret parameter as name=value: no record keeps those",
        "accept_changes": "go on although what is left to do is planned differently now",
        "yes": YES,
        "override_freeze": OVERRIDE,
        "diff": "show what each step changes, line by line",
        "json": "one JSON object a line instead of text",
    },
)
@told
def resume(
    _context: Context,
    run: str,
    param: list[str],
    accept_changes: bool = False,
    yes: bool = False,
    override_freeze: str | None = None,
    diff: bool = False,
    json: bool = False,
) -> None:
    """Go on with a run that broke off: no finished step is repeated, none is left out.

    Example: invoke runbook.resume latest
    """
    from orchestrator import runs
    from orchestrator.engine.environment import Consent

    leave = Consent(yes, override_freeze)
    secrets = parameters(param or [], {})
    listen = _listener(json=json, diff=diff)
    _end(runs.resume_run(run, secrets, accept_changes=accept_changes, listen=listen, consent=leave))


@task(
    help={
        "run": _RUN,
        "plan": "print what would be done, do nothing",
        "json": "as JSON",
    },
)
@told
def undo(_context: Context, run: str, plan: bool = False, json: bool = False) -> None:
    """Take back what a run has changed, newest first.

    Examples: invoke runbook.undo latest --plan; invoke runbook.undo 20261123-091500-deploy-3f2a
    """
    from orchestrator import console, runs

    if plan:
        changes = runs.planned_undo(run)
        if json:
            named = [{"host": one.host, "step": one.id, **one.as_dict()} for one in changes]
            console.print_json(named)
            return
        for one in changes:
            print(f"{one.host}: {one.id}: {_way_back(one)}")
        if all(one.call is None and one.reason for one in changes):
            print("there is nothing to undo")
        return
    result = runs.undo_run(run, _listener(json=json, diff=False))
    if result.state != "rolled_back":
        _end(result)


@task(help={"run": _RUN, "now": "end at once, and undo nothing"})
@told
def cancel(_context: Context, run: str, now: bool = False) -> None:
    """Ask a run to stop after its step and to undo what it changed.

    Example: invoke runbook.cancel latest
    """
    from orchestrator import live_runs

    record = live_runs.cancel_run(run, now=now)
    how = "at once" if now else "after its step, then it undoes"
    print(f"{record.run_id} is asked to stop {how}")


@task(help={"run": _RUN, "refuse": "say no"})
@told
def approve(_context: Context, run: str, refuse: bool = False) -> None:
    """Answer the question that a run waits for: go on, or done.

    Examples: invoke runbook.approve latest; invoke runbook.approve latest --refuse
    """
    from orchestrator import live_runs

    question = live_runs.answer_run(run, yes=not refuse)
    said = "refused" if refuse else "done" if question["kind"] == "manual" else "approved"
    print(f"{question['step']}: {said}: {question['text']}")


def _way_back(change: Any) -> str:
    if change.call is not None:
        return str(change.call.summary())
    return f"stays: {change.reason}" if change.reason else "nothing takes it back"


def _listener(*, json: bool, diff: bool) -> Any:
    from orchestrator import console

    return console.print_event_as_json if json else console.RunPrinter(diffs=diff)


def _end(result: RunResult) -> None:
    """End the command as the run has ended."""
    from orchestrator import console

    if result.exit_code:
        say(f"error: {console.fault_of(result)}")
        raise Exit(code=result.exit_code)
