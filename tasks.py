"""The door: ``invoke <task>``. Parses options, calls ``orchestrator.operations``, prints.

``invoke --list`` names every task, ``invoke --help <task>`` explains one.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from invoke import Collection, Context, Exit, Task, task

from orchestrator.door import answering, positive, run_state, say, told
from schemas.errors import InvalidInput

OPTIONS: dict[str, tuple[Any, str]] = {
    "param": (None, "a parameter of the runbook as name=value; may be given several times"),
    "plan": (False, "print what would be done, do nothing"),
    "check": (False, "ask every step what it would change, and change nothing"),
    "exit_diff": (False, "with --check: exit code 7 when something would change"),
    "diff": (False, "show what each step changes, line by line"),
    "json": (False, "one JSON object a line instead of text"),
    "limit": ("", "only these hosts, by name, group or pattern"),
    "inventory": ("", "another inventory file"),
}
"""What every task that runs a runbook takes: default and help."""

DIFFERENCES = 7
"""Exit code of ``--check --exit-diff`` when something would change."""


def runbook_task(
    name: str,
    doc: str,
    own: dict[str, str] | None = None,
    closing: dict[str, str] | None = None,
    *,
    named_by_caller: bool = False,
) -> Task[Any]:
    """A task that plans, checks or runs one runbook.

    Args:
        name: the task, and its runbook.
        doc: the task's help text.
        own: parameters of the runbook that are options of the task, with their help.
        closing: lines to end a successful run with, by their label.
        named_by_caller: the runbook is the task's argument.
    """
    own = own or {}
    defaults: dict[str, Any] = {"runbook": inspect.Parameter.empty} if named_by_caller else {}
    defaults |= dict.fromkeys(own, "") | {key: value for key, (value, _) in OPTIONS.items()}

    def body(_context: Context, **options: Any) -> None:
        runbook = options.pop("runbook", name)
        given = {key: options.pop(key) for key in own}
        carry_out(runbook, parameters(options.pop("param"), given), closing=closing, **options)

    body.__signature__ = _signature(defaults)  # type: ignore[attr-defined]
    body.__doc__ = doc
    helps = own | {key: text for key, (_, text) in OPTIONS.items()}
    if named_by_caller:
        helps["runbook"] = "its name, or the path of its file"
    return task(name=name, help=helps, iterable=["param"])(told(body))


def _signature(defaults: dict[str, Any]) -> inspect.Signature:
    """What Invoke makes the command line options from."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    context = inspect.Parameter("_context", kind)
    options = [inspect.Parameter(key, kind, default=value) for key, value in defaults.items()]
    return inspect.Signature([context, *options])


def parameters(texts: list[str], given: dict[str, str]) -> dict[str, str]:
    """``name=value`` texts as a mapping, with what was given in options of its own."""
    found = {name: value for name, value in given.items() if value}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"--param {text}: there is no '=' in it", hint="write name=value")
        found[name] = value
    return found


def carry_out(
    name: str,
    params: dict[str, str],
    *,
    plan: bool,
    check: bool,
    exit_diff: bool,
    diff: bool,
    json: bool,
    limit: str,
    inventory: str,
    closing: dict[str, str] | None = None,
) -> None:
    """Plan, check or run a runbook, and end with its exit code."""
    from orchestrator import console, operations

    if exit_diff and not check:
        raise InvalidInput("--exit-diff goes with --check")
    target = {"inventory": inventory or None, "limit": limit or None}
    if plan:
        planned = operations.plan_runbook(name, params, **target)
        console.print_json(planned.to_dict()) if json else console.print_plan(planned)
        return
    printer = console.RunPrinter(diffs=diff or check, closing=closing)
    listen = console.print_event_as_json if json else printer
    result = operations.run_runbook(name, params, check=check, listen=listen, **target)
    if result.exit_code:
        say(f"error: {console.fault_of(result)}")
        raise Exit(code=result.exit_code)
    if exit_diff and result.record.changed:
        raise Exit(code=DIFFERENCES)


deploy = runbook_task(
    "deploy",
    """Deploy session tracking, or bring what is deployed up to date (guide 3).

    A second deploy changes nothing. What fails after the switch is rolled back.

    Examples: invoke deploy --plan; invoke deploy --check; invoke deploy --version v0.1.0
    """,
    own={"version": "a git ref or a wheel; default: this checkout"},
    closing={"verify": "invoke verify", "roll back": "invoke rollback"},
)

rollback = runbook_task(
    "rollback",
    """Go back to the release before, and prove that it is healthy (guide 7.2).

    Examples: invoke rollback; invoke rollback --to 0.1.0-3f2a9c1b77
    """,
    own={"to": "a release; default: the one that was active before"},
    closing={"verify": "invoke verify"},
)

verify = runbook_task(
    "verify",
    """Run the acceptance scenarios against what is live (guide 4).

    Examples: invoke verify; invoke verify --tags smoke
    """,
    own={"tags": "only scenarios with this tag, such as smoke"},
)

backup = runbook_task(
    "backup",
    """Back up the session database while it is in use, and prove the copy (guide 7.3).

    Examples: invoke backup; from cron: current/bin/invoke --search-root current/ops backup
    """,
)

health_check = runbook_task(
    "health-check",
    """Check both servers and the disk; exit code 1 when something is ill (guide 8.2).

    Examples: invoke health-check; invoke health-check --json
    """,
)


@task(name="list", help={"json": "as JSON"})
@told
def list_runbooks(_context: Context, json: bool = False) -> None:
    """Name every runbook with its title."""
    from orchestrator import console, operations

    runbooks = operations.list_runbooks()
    if json:
        console.print_json([dataclasses.asdict(each) for each in runbooks])
    else:
        rows = [[each.name, each.title, ", ".join(each.guide)] for each in runbooks]
        console.print_table(["Runbook", "Title", "Guide"], rows, "there are no runbooks")


run = runbook_task(
    "run",
    """Run any runbook.

    Examples: invoke runbook.run health-check; invoke runbook.run ./mine.yaml --param port=8080
    """,
    named_by_caller=True,
)


@task(
    positional=[],
    help={
        "limit": "how many at the most",
        "state": "only these: succeeded, failed, rolled_back, cancelled, interrupted, running",
        "json": "as JSON",
    },
)
@told
def history(_context: Context, limit: str = "20", state: str = "", json: bool = False) -> None:
    """List the runs, newest first."""
    from orchestrator import console, operations

    records = operations.list_runs(limit=positive(limit, "--limit"), state=run_state(state))
    if json:
        console.print_json([record.as_dict() for record in records])
    else:
        rows = [console.history_row(record) for record in records]
        console.print_table(console.HISTORY_TITLES, rows, "nothing was run yet")


@task(
    positional=[],
    help={
        "run": "the run, the beginning of its name, or latest",
        "diff": "with diffs",
        "json": "as JSON",
    },
)
@told
def log(_context: Context, run: str = "latest", diff: bool = False, json: bool = False) -> None:
    """Show what a run did, step by step."""
    from orchestrator import console, operations

    record, entries = operations.get_run(run)
    if json:
        console.print_json(record.as_dict() | {"entries": [entry.as_dict() for entry in entries]})
    else:
        console.print_journal(record, entries, diffs=diff)


def namespace() -> Collection:
    """Every task by its name: those above, and the catalogue that runbook steps name."""
    from orchestrator.tasks.catalogue import collection

    root = collection()
    for below in root.collections.values():
        for name, each in list(below.tasks.items()):
            below.tasks[name] = answering(each)
    for each in (deploy, rollback, verify, backup, health_check):
        root.add_task(each)
    root.add_collection(Collection("runbook", list_runbooks, run, history, log))
    return root


ns = namespace()
