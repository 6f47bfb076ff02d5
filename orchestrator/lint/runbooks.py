"""Faults of runbooks: what loading and planning tell of, steps without undo, faulty templates.

Plans with made-up hosts and parameters, since it connects to nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.engine.expressions import RUNTIME, is_settled
from orchestrator.engine.load import load_runbook
from orchestrator.engine.params import read_params
from orchestrator.engine.plan import make_plan
from orchestrator.lint.finding import Finding, findings_of
from orchestrator.lint.hosts import made_up_params, made_up_targets
from orchestrator.render import parse, render_file
from orchestrator.tasks.outcome import effect_of
from schemas.errors import InvalidInput, NotFound, SessionopsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.engine.checked import Checker
    from orchestrator.engine.inventory import Hosts
    from orchestrator.engine.listing import Plan
    from orchestrator.engine.load import Loaded
    from orchestrator.engine.planned import Item
    from schemas.runbook import Step


def runbook_findings(file: Path, ops: Path, hosts: Hosts | None, checker: Checker) -> list[Finding]:
    """Everything that is wrong with one runbook.

    Args:
        file: its file.
        ops: the folder with ``runbooks/`` and ``templates/``.
        hosts: the inventory; None when that cannot be read.
        checker: reads files.
    """
    try:
        loaded = load_runbook(str(file), ops, checker)
    except SessionopsError as error:
        return list(findings_of(error, "runbook"))
    found = [*_unpaired(loaded), *_helpless(loaded)]
    if hosts is None:
        return found
    try:
        plan = _plan(loaded, hosts)
    except SessionopsError as error:
        return [*found, *findings_of(error, "plan")]
    return [*found, *(_templates(plan) if plan else ())]


def _plan(loaded: Loaded, hosts: Hosts) -> Plan | None:
    """The plan for every host that the runbook is for; None when the inventory has none.

    A runbook may be for hosts that only the user's own inventory has.
    """
    runbook, where = loaded.runbook, loaded.document.where("hosts")
    try:
        names = hosts.select(runbook.hosts, where=where)
    except InvalidInput as error:
        if error.message.startswith("no host"):
            return None
        raise
    params = read_params(runbook.params, made_up_params(runbook.params), {})
    return make_plan(loaded, made_up_targets(hosts, names), params)


def _unpaired(loaded: Loaded) -> Iterator[Finding]:
    for number, step in enumerate(loaded.runbook.steps):
        if step.undo is None and not _undoes_itself(loaded, step):
            yield Finding(
                loaded.document.where("steps", number),
                "unpaired-step",
                f"nothing takes back what the step {step.id!r} changes",
                'write undo: with a step, or undo: {none: "why none is needed"}',
            )


def _undoes_itself(loaded: Loaded, step: Step) -> bool:
    """The task changes nothing or tells how it is undone; a nested runbook's steps do."""
    if step.task is not None:
        return effect_of(loaded.catalogue.task_named(step.task)) in ("nothing", "undone")
    return step.runbook is not None


def _helpless(loaded: Loaded) -> Iterator[Finding]:
    warn = partial(Finding, code="missing-help", severity="warning")
    runbook, where = loaded.runbook, loaded.document.where
    if not runbook.description:
        yield warn(
            where("name"), message="there is no description", hint="say what it does, and when"
        )
    for name, parameter in runbook.params.items():
        if not parameter.help:
            yield warn(
                where("params", name),
                message=f"the parameter {name!r} has no help",
                hint="write help: what it is for",
            )


def _templates(plan: Plan) -> list[Finding]:
    found: dict[tuple[str, str], Finding] = {}
    for host in plan.hosts:
        for step in host.all_steps():
            for item in step.items:
                for one in _template_findings(item, plan.loaded.ops, host.variables):
                    found.setdefault((one.where, one.message), one)
    return list(found.values())


def _template_findings(item: Item, ops: Path, variables: dict[str, Any]) -> Iterator[Finding]:
    name = item.call.arguments.get("template") if item.call and item.call.kind == "task" else None
    if not isinstance(name, str) or not is_settled(name):
        return
    path = ops / "templates" / name
    try:
        text = path.read_text(encoding="utf-8")
        needed = parse(text, str(path))[1] if path.is_file() else set()
        if not needed & (RUNTIME | {"item"}):
            render_file(path, variables)
    except FileNotFoundError:
        hint = f"there are {', '.join(sorted(one.name for one in path.parent.glob('*')))}"
        place = item.call.where if item.call else str(path)
        yield Finding(place, "no-template", f"there is no template {name!r}", hint)
    except (InvalidInput, NotFound) as error:
        yield from findings_of(error, "template")
