"""``invoke promote``: deploy to one environment the release that was verified in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from orchestrator.door.answers import told
from orchestrator.door.authoring import chosen_folder
from orchestrator.door.running import carry_out
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    positional=[],
    help={
        "to": "the environment to deploy to",
        "source": "the environment where the release was verified",
        "plan": "print what would be done, do nothing",
        "check": "ask every step what it would change, and change nothing",
        "json": "one JSON object a line instead of text",
        "yes": "agree beforehand, where an automation token allows it",
        "override_freeze": "deploy although the environment is frozen, for this reason",
        "ops": "another folder with runbooks/ and environments/; default: this project's",
    },
)
@told
def promote(
    _context: Context,
    to: str = "production",
    source: str = "staging",
    plan: bool = False,
    check: bool = False,
    json: bool = False,
    yes: bool = False,
    override_freeze: str | None = None,
    ops: str = "",
) -> None:
    """Deploy exactly the release that the newest verification of another environment found good.

    Examples: invoke promote; invoke promote --source staging --to production --plan
    """
    from orchestrator.promotion import verified_release

    if to == source:
        raise InvalidInput(f"{to} is promoted to itself", hint="give --source and --to")
    folder = chosen_folder(ops, look_around=False)
    found = verified_release(source, folder)
    if not json:
        print(f"{found.release}, verified on {found.host} by {found.run_id}")
    options: dict[str, Any] = {
        "plan": plan,
        "check": check,
        "json": json,
        "yes": yes,
        "override_freeze": override_freeze,
        "environment": to,
        "ops": folder,
    }
    left_out: dict[str, Any] = {
        "apply": None,
        "exit_diff": False,
        "diff": False,
        "limit": "",
        "inventory": "",
        "forks": 0,
        "lock_wait": "",
    }
    carry_out("deploy", {"version": str(found.wheel)}, **options, **left_out)
