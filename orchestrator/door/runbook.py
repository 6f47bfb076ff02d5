"""``invoke runbook.*``: list runbooks, run any of them, look at runs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from orchestrator.door.answers import positive, run_state, told
from orchestrator.door.authoring import OPS_HELP, chosen_folder, new, runbook_docs
from orchestrator.door.running import runbook_task

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


def collection() -> Collection:
    """The tasks about runbooks and runs."""
    return Collection("runbook", list_runbooks, run, history, log, runbook_docs, new)
