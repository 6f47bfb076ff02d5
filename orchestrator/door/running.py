"""Tasks that plan, check or run a runbook: their options, and how a run ends a command.

Knows options and exit codes; what is done is decided in ``orchestrator.operations``.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.tasks import Task, task

from orchestrator.door.answers import say, told
from orchestrator.door.authoring import OPS_HELP, chosen_folder
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

OPTIONS: dict[str, tuple[Any, str]] = {
    "param": (None, "a parameter of the runbook as name=value; may be given several times"),
    "plan": (False, "print what would be done, do nothing"),
    "check": (False, "ask every step what it would change, and change nothing"),
    "exit_diff": (False, "with --check: exit code 7 when something would change"),
    "diff": (False, "show what each step changes, line by line"),
    "json": (False, "one JSON object a line instead of text"),
    "limit": ("", "only these hosts, by name, group or pattern"),
    "inventory": ("", "another inventory file"),
    "ops": ("", OPS_HELP),
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
        options["ops"] = chosen_folder(options["ops"], look_around=named_by_caller)
        carry_out(runbook, parameters(options.pop("param"), given), closing=closing, **options)

    body.__signature__ = _signature(defaults)  # type: ignore[attr-defined]
    body.__doc__ = doc
    helps = own | {key: text for key, (_, text) in OPTIONS.items()}
    if not named_by_caller:
        helps["ops"] = "another folder with runbooks/; default: this project's"
    if named_by_caller:
        helps["runbook"] = "its name, or the path of its file"
    made: Task[Any] = task(name=name, help=helps, iterable=["param"])(told(body))
    return made


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
    ops: Path | None,
    closing: dict[str, str] | None = None,
) -> None:
    """Plan, check or run a runbook, and end with its exit code."""
    from orchestrator import console, operations

    if exit_diff and not check:
        raise InvalidInput("--exit-diff goes with --check")
    target: dict[str, Any] = {"inventory": inventory or None, "limit": limit or None, "ops": ops}
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
