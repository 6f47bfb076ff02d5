"""``invoke lint``: every fault of runbooks, templates, inventory, tasks and alerts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.exceptions import Exit
from invoke.tasks import task

from orchestrator.door.answers import say, told
from orchestrator.door.authoring import OPS_HELP, chosen_folder
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    positional=[],
    help={
        "ops": OPS_HELP,
        "inventory": "another inventory file",
        "strict": "exit code 2 also for warnings",
        "json": "one JSON object for each finding",
    },
)
@told
def lint(
    _context: Context, ops: str = "", inventory: str = "", strict: bool = False, json: bool = False
) -> None:
    """Find every fault in runbooks, templates, inventory, tasks and alerts, without running any.

    Examples: invoke lint; invoke lint --ops ~/my-ops --strict
    """
    from orchestrator import console, operations

    found = operations.lint(chosen_folder(ops), inventory or None)
    if json:
        console.print_json([one.as_dict() for one in found])
    else:
        for one in found:
            hint = f"\n  {one.hint}" if one.hint else ""
            print(f"{one.where}: {one.severity}: {one.message} [{one.code}]{hint}")
    errors = sum(one.severity == "error" for one in found)
    if not json:
        print(f"{errors} errors, {len(found) - errors} warnings" if found else "nothing to mend")
    if errors or (strict and found):
        raise Exit(code=InvalidInput.exit_code)
    if found:
        say("warnings only; --strict makes them count")
