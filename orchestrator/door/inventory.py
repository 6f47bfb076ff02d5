"""``invoke inventory.show``: the hosts, how they are reached, and where each value comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from orchestrator.door.answers import told
from orchestrator.door.authoring import OPS_HELP, chosen_folder
from orchestrator.door.running import ENVIRONMENT

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    positional=[],
    help={
        "host": "only these: hosts, groups, web-*, !name; separated by commas",
        "limit": "a second pattern that they must match too",
        "inventory": "another inventory file",
        "environment": ENVIRONMENT,
        "ops": OPS_HELP,
        "json": "as JSON",
    },
)
@told
def show(
    _context: Context,
    host: str = "all",
    limit: str = "",
    inventory: str = "",
    environment: str = "",
    ops: str = "",
    json: bool = False,
) -> None:
    """Show hosts with groups, connection, and variables with the file and line of each.

    Examples: invoke inventory.show; invoke inventory.show --host 'web-*' --json
    """
    from orchestrator import console, operations

    found = operations.show_inventory(
        host,
        inventory=inventory or None,
        limit=limit or None,
        ops=chosen_folder(ops),
        environment=environment,
    )
    if json:
        console.print_json([each.as_dict() for each in found])
    else:
        print("\n\n".join("\n".join(each.lines()) for each in found))


def collection() -> Collection:
    """The tasks about the inventory."""
    return Collection("inventory", show)
