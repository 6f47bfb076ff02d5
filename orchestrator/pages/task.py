"""The catalogue of tasks as a page. Knows signatures and docstrings, runs no task."""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING, Any

from orchestrator.pages.markdown import code, table
from orchestrator.tasks.catalogue import parameters_of
from orchestrator.tasks.outcome import effect_of

if TYPE_CHECKING:
    from invoke.tasks import Task

    from orchestrator.tasks.catalogue import Catalogue

MADE = "<!-- Made by `invoke task.docs --write`: change the tasks' docstrings, not this page. -->"
"""The first line of the page."""
_EFFECTS = {
    "nothing": "Knows check mode. Changes nothing.",
    "undone": "Knows check mode. Records what takes its changes back.",
    "lasting": "Knows check mode. Records no undo: a step that names it says its own `undo:`.",
    "unknown": "Check mode skips it. A step that names it says its own `undo:`.",
}
_ARGUMENT = re.compile(r"(\w+): (.*)")
_SECTION = re.compile(r"[A-Z][a-z]+:")


def task_page(catalogue: Catalogue) -> str:
    """The page's text: each collection with its tasks, their arguments, check mode and undo."""
    lines = [
        MADE,
        "",
        "# Tasks",
        "",
        "What a step of a runbook can name under `task:`, with arguments under `with:`. Each is a",
        "command too: `invoke files.link --path ... --target ...`.",
        "",
    ]
    for name in catalogue.collections():
        tasks = catalogue.tasks_of(name)
        if not tasks:
            continue
        about = sys.modules[next(iter(tasks.values())).body.__module__].__doc__ or ""
        lines += [f"## {name}", "", *_paragraph(about)]
        for short in sorted(tasks):
            lines += _task(f"{name}.{short}", tasks[short])
    return "\n".join(lines).rstrip("\n") + "\n"


def sections(doc: str) -> dict[str, list[str]]:
    """A docstring's lines by section: ``""`` is how it begins, then ``Args``, ``Raises`` ..."""
    found: dict[str, list[str]] = {"": []}
    current = ""
    for line in inspect.cleandoc(doc).splitlines():
        if _SECTION.fullmatch(line):
            current = line[:-1]
            found[current] = []
        else:
            found[current].append(line)
    return found


def argument_helps(doc: str) -> dict[str, str]:
    """What a docstring says of each argument."""
    found: dict[str, str] = {}
    current = ""
    for line in sections(doc).get("Args", []):
        match = _ARGUMENT.fullmatch(line.strip())
        if match and len(line) - len(line.lstrip()) <= len("    "):
            current = match[1]
            found[current] = match[2]
        elif current and line.strip():
            found[current] += " " + line.strip()
    return found


def _paragraph(doc: str) -> list[str]:
    text = inspect.cleandoc(doc).strip()
    return [text, ""] if text else []


def _task(name: str, task: Task[Any]) -> list[str]:
    doc = task.body.__doc__ or ""
    said = sections(doc)
    lines = [f"### {name}", "", *_paragraph("\n".join(said[""]))]
    lines += [_EFFECTS[effect_of(task)], ""]
    helps = task.help | argument_helps(doc)
    rows = [
        [code(key), code(_type(one)), _default(one), helps.get(key, "")]
        for key, one in parameters_of(task).items()
    ]
    lines += table(["Argument", "Type", "Default", "What for"], rows)
    if "Outputs" in said:
        lines += [f"Outputs: {' '.join(' '.join(said['Outputs']).split())}", ""]
    return lines


def _type(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return "any"
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "any")


def _default(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_KEYWORD:
        return "any others"
    if parameter.default is parameter.empty:
        return "must be given"
    return code(repr(parameter.default)) if parameter.default != "" else '`""`'
