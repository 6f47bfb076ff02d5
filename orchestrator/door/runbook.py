"""``invoke runbook.*``: list runbooks, run any of them, look at runs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.tasks import task

from orchestrator.door.answers import told
from orchestrator.door.authoring import OPS_HELP, chosen_folder, new, runbook_docs
from orchestrator.door.past_runs import diff, forget, history
from orchestrator.door.running import ENVIRONMENT, parameters, runbook_task
from orchestrator.door.runs import approve, cancel, resume, undo

if TYPE_CHECKING:
    from invoke.context import Context


@task(name="list", positional=[], help={"ops": OPS_HELP, "json": "as JSON"})
@told
def list_runbooks(_context: Context, ops: str = "", json: bool = False) -> None:
    """Name every runbook with its title."""
    from orchestrator import console, operations

    runbooks = operations.list_runbooks(chosen_folder(ops))
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


@task(help={"runbook": "its name, or the path of its file", "json": "as JSON"})
@told
def show(_context: Context, runbook: str, json: bool = False) -> None:
    """Show what a runbook is: its parameters, steps and hosts.

    Example: invoke runbook.show deploy
    """
    from orchestrator import console, runbooks

    shown = runbooks.show_runbook(runbook)
    if json:
        console.print_json(shown)
        return
    print(f"{shown['name']}: {shown['title']}  ({shown['path']})")
    if shown["description"]:
        print(shown["description"].rstrip())
    for label in ("hosts", "lock", "timeout"):
        print(f"  {label + ':':<10}{shown[label] or '-'}")
    for label in ("guide", "alerts", "allow"):
        print(f"  {label + ':':<10}{', '.join(shown[label]) or '-'}")
    print("\nParameters" if shown["params"] else "\nNo parameters")
    for one in shown["params"]:
        print(f"  {one['name']:<20} {_kind(one):<28} {one['help']}".rstrip())
    print("\nSteps")
    for number, step in enumerate(shown["steps"], 1):
        what = " ".join(str(step["what"]).split())
        print(f"  {number:>2}. {step['id']:<20} {step['title']}  [{step['kind']}: {what}]")


def _kind(param: dict[str, Any]) -> str:
    words = [param["type"]]
    words += [word for word in ("required", "secret") if param[word]]
    if param["default"] not in (None, ""):
        words.append(f"default {param['default']}")
    if param["env"]:
        words.append(f"${param['env']}")
    return ", ".join(words)


@task(
    iterable=["param"],
    help={
        "runbook": "its name, or the path of its file",
        "param": "a parameter of the runbook as name=value; may be given several times",
        "limit": "only these hosts, by name, group or pattern",
        "inventory": "another inventory file",
        "environment": ENVIRONMENT,
        "json": "as JSON",
    },
)
@told
def plan(
    _context: Context,
    runbook: str,
    param: list[str],
    limit: str = "",
    inventory: str = "",
    environment: str = "",
    json: bool = False,
) -> None:
    """Print what a runbook would do, step by step, and do nothing.

    Example: invoke runbook.plan deploy --param version=v0.1.0
    """
    from orchestrator import console, operations

    planned = operations.plan_runbook(
        runbook,
        parameters(param or [], {}),
        inventory=inventory or None,
        limit=limit or None,
        environment=environment,
    )
    console.print_json(planned.to_dict()) if json else console.print_plan(planned)


def collection() -> Collection:
    """The tasks about runbooks and runs."""
    about_runbooks = (list_runbooks, show, plan, run, runbook_docs, new)
    about_runs = (history, log, resume, undo, cancel, approve, diff, forget)
    return Collection("runbook", *about_runbooks, *about_runs)
