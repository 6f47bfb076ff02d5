"""All findings of a folder of runbooks, inventory, templates, tasks and alerts, sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.engine.environment import environment_files, name_of
from orchestrator.engine.inventory import Hosts
from orchestrator.engine.load import runbook_files
from orchestrator.lint.files import rule_findings, template_findings
from orchestrator.lint.finding import Finding, findings_of
from orchestrator.lint.runbooks import runbook_findings
from orchestrator.tasks.catalogue import Catalogue
from schemas.errors import SessionopsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.engine.checked import Checker


def findings(ops: Path, inventory: Path, checker: Checker) -> list[Finding]:
    """Everything that is wrong, sorted by place.

    Args:
        ops: the folder with ``runbooks/``, ``templates/``, ``alerts/`` and perhaps ``tasks/``.
        inventory: the inventory file.
        checker: reads files.
    """
    found = [*template_findings(ops), *_tasks(ops), *_environments(ops, checker)]
    hosts = None
    try:
        hosts = Hosts.load(inventory, checker)
        for name in hosts.inventory.hosts:
            hosts.matches(name, "all")
    except SessionopsError as error:
        found += findings_of(error, "inventory")
    answered: set[str] = set()
    seen: dict[str, Path] = {}
    for file in runbook_files(ops):
        if file.stem in seen:
            found.append(
                Finding(
                    f"{file}:1",
                    "name-twice",
                    f"{seen[file.stem]} has this name too, and only one of them can be run by it",
                )
            )
        seen[file.stem] = file
        found += runbook_findings(file, ops, hosts, checker)
        answered |= _alerts(file, checker)
    found += rule_findings(ops, answered)
    return sorted(set(found), key=lambda one: one.order)


def _environments(ops: Path, checker: Checker) -> Iterator[Finding]:
    for file in environment_files(ops):
        try:
            name_of(Hosts.load(file, checker), file.stem)
        except SessionopsError as error:
            yield from findings_of(error, "inventory")


def _alerts(file: Path, checker: Checker) -> set[str]:
    try:
        return set(checker.read(file, "Runbook")[0].alerts)
    except SessionopsError:
        return set()


def _tasks(ops: Path) -> Iterator[Finding]:
    """Tasks without a help text; a file of tasks that cannot be imported."""
    try:
        catalogue = Catalogue([ops / "tasks"])
        names = catalogue.names()
    except SessionopsError as error:
        yield from findings_of(error, "tasks")
        return
    except Exception as error:  # noqa: BLE001 -- a file of the user's may do anything at import
        where = f"{ops / 'tasks'}"
        yield Finding(where, "tasks", f"cannot be imported: {type(error).__name__}: {error}")
        return
    for name in names:
        body = catalogue.task_named(name).body
        if not (body.__doc__ or "").strip():
            place = f"{body.__code__.co_filename}:{body.__code__.co_firstlineno}"
            yield Finding(place, "missing-help", f"the task {name} says nothing of itself")
