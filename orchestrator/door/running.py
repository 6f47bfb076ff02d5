"""Tasks that plan, check or run a runbook: their options, and how a run ends a command.

Knows options and exit codes; what is done is decided in ``orchestrator.operations``.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.tasks import Task, task

from orchestrator.door.answers import say, told
from orchestrator.door.authoring import OPS_HELP, chosen_folder
from schemas.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

ENVIRONMENT = "hosts and variables of environments/NAME.yaml and NAME.env"
OVERRIDE = "why this run goes on in a freeze; recorded"

OPTIONS: dict[str, tuple[Any, str]] = {
    "param": (None, "a parameter of the runbook as name=value; may be given several times"),
    "plan": (False, "print what would be done, do nothing"),
    "apply": (None, "run only if the plan still has this hash, which --plan printed"),
    "check": (False, "ask every step what it would change, and change nothing"),
    "exit_diff": (False, "with --check: exit code 7 when something would change"),
    "diff": (False, "show what each step changes, line by line"),
    "json": (False, "one JSON object a line instead of text"),
    "yes": (False, "agree beforehand to what the runbook lets be agreed to so"),
    "limit": ("", "only these hosts, by name, group or pattern"),
    "inventory": ("", "another inventory file"),
    "forks": (0, "how many hosts at a time (10)"),
    "lock_wait": ("", "how long to wait for a run that holds the lock, as 30s or 5m"),
    "override_freeze": (None, OVERRIDE),
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
    defaults |= {"environment": ""}  # before all others: the first takes -e
    defaults |= dict.fromkeys(own, "") | {key: value for key, (value, _) in OPTIONS.items()}

    def body(_context: Context, **options: Any) -> None:
        runbook = options.pop("runbook", name)
        given = {key: options.pop(key) for key in own}
        options["ops"] = chosen_folder(options["ops"], look_around=named_by_caller)
        carry_out(runbook, parameters(options.pop("param"), given), closing=closing, **options)

    body.__signature__ = _signature(defaults)  # type: ignore[attr-defined]
    body.__doc__ = doc
    helps = own | {"environment": ENVIRONMENT} | {key: text for key, (_, text) in OPTIONS.items()}
    if not named_by_caller:
        helps["ops"] = "another folder with runbooks/; default: this project's"
    if named_by_caller:
        helps["runbook"] = "its name, or the path of its file"
    made: Task[Any] = task(name=name, help=helps, iterable=["param"])(told(body))
    return made


def group_task(name: str, group: str, doc: str) -> Task[Any]:
    """A task that runs a runbook of a folder below ``runbooks/``, or lists them without a name.

    Args:
        name: the task.
        group: the folder.
        doc: the task's help text.
    """
    defaults: dict[str, Any] = {"name": "", "environment": ""} | {
        key: value for key, (value, _) in OPTIONS.items()
    }

    def body(_context: Context, **options: Any) -> None:
        wanted = options.pop("name")
        options["ops"] = chosen_folder(options["ops"], look_around=False)
        if wanted:
            _known_in(group, wanted, options["ops"])
            carry_out(wanted, parameters(options.pop("param"), {}), **options)
        else:
            print_group(group, options["ops"], json=options["json"])

    body.__signature__ = _signature(defaults)  # type: ignore[attr-defined]
    body.__doc__ = doc
    helps = {"name": "which one; without it they are listed", "environment": ENVIRONMENT}
    helps |= {key: text for key, (_, text) in OPTIONS.items()}
    made: Task[Any] = task(name=name, help=helps, iterable=["param"])(told(body))
    return made


def print_group(group: str, ops: Path | None, *, json: bool) -> None:
    """The runbooks of a folder, the gravest first, with when to use each."""
    from orchestrator import console, operations

    found = [each for each in operations.list_runbooks(ops) if each.group == group]
    found.sort(key=lambda each: (each.severity or "P9", each.name))
    if json:
        console.print_json([dataclasses.asdict(each) for each in found])
        return
    for each in found:
        severity = f"{each.severity}  " if each.severity else ""
        print(f"{severity}{each.name}: {each.fault or each.title}")
        for line in textwrap.wrap(each.description, 96):
            print(f"    {line}")


def _known_in(group: str, name: str, ops: Path | None) -> None:
    from orchestrator import operations

    names = [each.name for each in operations.list_runbooks(ops) if each.group == group]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        raise NotFound(
            f"there is no runbook {name!r} in {group}",
            hint=f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}",
        )


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
    apply: str | None,
    check: bool,
    exit_diff: bool,
    diff: bool,
    json: bool,
    yes: bool,
    limit: str,
    inventory: str,
    forks: int,
    lock_wait: str,
    ops: Path | None,
    environment: str,
    override_freeze: str | None,
    closing: dict[str, str] | None = None,
) -> None:
    """Plan, check or run a runbook, and end with its exit code."""
    from orchestrator import console, operations
    from orchestrator.engine.environment import Consent
    from schemas.units import parse_duration

    if exit_diff and not check:
        raise InvalidInput("--exit-diff goes with --check")
    if forks < 0:
        raise InvalidInput(f"--forks {forks}: at least one host at a time")
    if plan and apply is not None:
        raise InvalidInput("--plan runs nothing, --apply does", hint="give one of them")
    if environment and inventory:
        raise InvalidInput(
            "--environment and --inventory both name the hosts", hint="give one of them"
        )
    target: dict[str, Any] = {
        "environment": environment,
        "inventory": inventory or None,
        "limit": limit or None,
        "forks": forks,
        "ops": ops,
    }
    if plan:
        planned = operations.plan_runbook(name, params, keep=True, **target)
        console.print_json(planned.to_dict()) if json else console.print_plan(planned)
        return
    patience = parse_duration(lock_wait) if lock_wait else 0.0
    printer = console.RunPrinter(diffs=diff or check, closing=closing, asks=not yes)
    listen = console.print_event_as_json if json else printer
    result = operations.run_runbook(
        name,
        params,
        check=check,
        yes=yes,
        apply=apply,
        listen=listen,
        lock_wait=patience,
        consent=Consent(yes, override_freeze),
        **target,
    )
    if result.exit_code:
        say(f"error: {console.fault_of(result)}")
        raise Exit(code=result.exit_code)
    if exit_diff and result.record.changed:
        raise Exit(code=DIFFERENCES)
