"""What a step does as a command that a person can type. Knows actions and signatures, no hosts."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import yaml

from orchestrator.pages.markdown import block
from orchestrator.tasks.catalogue import parameters_of

if TYPE_CHECKING:
    from orchestrator.tasks.catalogue import Catalogue
    from schemas.runbook import Action

_WIDTH = 96


def command_of(action: Action, catalogue: Catalogue) -> list[str]:
    """The lines that say what to do: a command, a text to follow, or another runbook to run."""
    if action.manual is not None:
        return [*(f"> {line}".rstrip() for line in action.manual.strip().splitlines()), ""]
    if action.run is not None:
        given = [f"{key}={shlex.quote(value)}" for key, value in action.env.items()]
        return block("\n".join([*(f"export {one}" for one in given), action.run]))
    if action.runbook is not None:
        below = str(action.runbook)
        words = ["invoke", "runbook.run", below]
        for key, value in action.arguments.items():
            words += ["--param", f"{key}={value}"]
        return [f"The runbook [{below}]({below}.md):", "", *block(_line(words))]
    return block(_task_line(action, catalogue))


def _task_line(action: Action, catalogue: Catalogue) -> str:
    name = str(action.task)
    known = parameters_of(catalogue.task_named(name))
    words = ["invoke", name.replace("_", "-")]
    for key, value in action.arguments.items():
        if isinstance(value, dict) or key not in known:
            # Invoke's options hold no mapping; the step is shown as the runbook writes it.
            shown = {"task": name, "with": dict(action.arguments)}
            return "# " + yaml.safe_dump(shown, sort_keys=False, width=_WIDTH).replace("\n", "\n# ")
        words += _option(key, value, known[key].default)
    return _line(words)


def _option(key: str, value: Any, default: object) -> list[str]:
    flag = "--" + key.replace("_", "-")
    if isinstance(value, bool):
        if value == default:
            return []
        return [flag] if value else ["--no-" + flag[2:]]
    if isinstance(value, list):
        return [word for each in value for word in (flag, str(each))]
    return [flag, str(value)]


def _line(words: list[str]) -> str:
    quoted = [shlex.quote(word) for word in words]
    line = " ".join(quoted)
    if len(line) <= _WIDTH:
        return line
    pieces = [" ".join(quoted[:2])]
    for word in quoted[2:]:
        if word.startswith("--"):
            pieces.append(word)
        else:
            pieces[-1] += f" {word}"
    return " \\\n  ".join(pieces)
