"""A runbook as a page that a person can follow by hand. Knows the file, no hosts and no runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.pages.byhand import command_of
from orchestrator.pages.markdown import code, table
from orchestrator.tasks.outcome import effect_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.engine.load import Loaded
    from schemas.runbook import Action, Check, Parameter, Retry, Runbook, Step

MADE = "<!-- Made by `invoke runbook.docs --write`: change the runbook, not this page. -->"
"""The first line of every page."""
_UNDO = {
    "nothing": "none needed, nothing is changed",
    "undone": "what the task recorded when it changed something",
    "lasting": "none",
    "unknown": "none",
}


def runbook_page(loaded: Loaded, source: str) -> str:
    """The page's text.

    Args:
        loaded: the runbook.
        source: its file, as the page names it.
    """
    runbook = loaded.runbook
    lines = [MADE, "", f"# {runbook.title}", ""]
    if runbook.description:
        lines += [runbook.description.strip(), ""]
    lines += [*_about(runbook, source), *_params(runbook)]
    lines += _checks("Before it starts", runbook.preconditions, loaded)
    lines += ["## Steps", ""]
    for number, step in enumerate(runbook.steps, 1):
        lines += _step(number, step, loaded)
    lines += _after(loaded)
    return "\n".join(lines).rstrip("\n") + "\n"


def index_page(pages: Sequence[Loaded]) -> str:
    """The page that names every other."""
    rows = [
        [f"[{one.runbook.name}]({one.runbook.name}.md)", one.runbook.title, _alerts(one.runbook)]
        for one in pages
    ]
    return "\n".join([MADE, "", "# Runbooks", "", *table(["Runbook", "Does", "Answers"], rows)])


def _alerts(runbook: Runbook) -> str:
    return ", ".join(map(code, runbook.alerts))


def _about(runbook: Runbook, source: str) -> list[str]:
    start = ["invoke runbook.run", runbook.name]
    for name, parameter in runbook.params.items():
        if parameter.required and not parameter.env:
            start.append(f"--param {name}=...")
    rows = [
        ["Start", code(" ".join(start))],
        ["Look first", code(" ".join([*start, "--plan"])) + ", then `--check --diff`"],
        ["Written in", code(source)],
        ["Who may start it over the API", ", ".join(f"scope {code(one)}" for one in runbook.allow)],
        ["Answers the alerts", _alerts(runbook)],
        ["Guide", ", ".join(runbook.guide)],
        ["Hosts", code(runbook.hosts) + _batches(runbook)],
        ["One at a time", f"lock {code(runbook.lock)}" if runbook.lock else ""],
        ["Takes at most", runbook.timeout],
        ["Runs by itself", code(runbook.schedule.cron) if runbook.schedule else ""],
    ]
    told = table(["", ""], [row for row in rows if row[1]])
    return [
        *told,
        "What stands in `{{ }}` is another value on each host; `--plan` shows it.",
        "",
    ]


def _batches(runbook: Runbook) -> str:
    told = f", in batches of {', '.join(map(str, runbook.serial))}" if runbook.serial else ""
    if runbook.max_fail_percentage:
        told += f"; goes on while at most {runbook.max_fail_percentage} % fail"
    return told


def _params(runbook: Runbook) -> list[str]:
    rows = [
        [code(name), one.type, _default(one), _help(one)] for name, one in runbook.params.items()
    ]
    if not rows:
        return []
    return ["## Parameters", "", *table(["Name", "Type", "Default", "What for"], rows)]


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "must be given"
    if isinstance(parameter.default, bool):
        return str(parameter.default).lower()
    return "" if parameter.default in (None, "") else str(parameter.default)


def _help(parameter: Parameter) -> str:
    told = [parameter.help] * bool(parameter.help)
    if parameter.choices:
        told.append("one of " + ", ".join(map(str, parameter.choices)))
    if parameter.env:
        told.append(f"from the variable {code(parameter.env)} when not given")
    if parameter.secret:
        told.append("secret")
    return "; ".join(told)


def _checks(title: str, checks: Sequence[Check], loaded: Loaded) -> list[str]:
    if not checks:
        return []
    lines = [f"## {title}", ""]
    for check in checks:
        lines += [f"**{check.name or check.id or check.kind}**{_conditions(check)}", ""]
        lines += command_of(check, loaded.catalogue)
    return lines


def _step(number: int, step: Step, loaded: Loaded) -> list[str]:
    lines = [f"### {number}. {step.title}", ""]
    told = _conditions(step).lstrip(": ")
    if told:
        lines += [told[0].upper() + told[1:] + ".", ""]
    lines += command_of(step, loaded.catalogue)
    if step.verify is not None:
        lines += [
            f"Verify{_conditions(step.verify)}:",
            "",
            *command_of(step.verify, loaded.catalogue),
        ]
    return [*lines, *_undo(step, loaded)]


def _undo(step: Step, loaded: Loaded) -> list[str]:
    undo = step.undo
    if undo is None:
        if step.runbook is not None:
            return ["Undo: that of its steps.", ""]
        name = step.task
        effect = effect_of(loaded.catalogue.task_named(name)) if name is not None else "unknown"
        return [f"Undo: {_UNDO[effect]}.", ""]
    if hasattr(undo, "none"):
        return [f"Undo: none, because {undo.none}.", ""]
    return [f"Undo{_conditions(undo)}:", "", *command_of(undo, loaded.catalogue)]


def _conditions(action: Action) -> str:
    """What a person must know beside the command, after a colon; empty when there is nothing."""
    told: list[str] = []
    approval, loop = getattr(action, "approval", None), getattr(action, "loop", None)
    if approval is not None:
        told.append(f"asks first: {approval.prompt} (waits {approval.timeout})")
    if getattr(action, "when", None):
        told.append(f"only when {code(action.when)}")  # type: ignore[attr-defined]
    if loop is not None:
        told.append(f"for each `item` of {code(loop)}")
    if getattr(action, "hosts", None):
        told.append(f"only on {code(action.hosts)}")  # type: ignore[attr-defined]
    if getattr(action, "run_once", False):
        told.append("on one host only")
    if action.sudo:
        told.append("as root")
    if action.retry is not None:
        told.append(_retry(action.retry))
    if action.timeout:
        told.append(f"takes at most {action.timeout}")
    if getattr(action, "ignore_errors", False):
        told.append("goes on when this fails")
    return ": " + "; ".join(told) if told else ""


def _retry(retry: Retry) -> str:
    return f"up to {retry.limit} times, {retry.delay} apart"


def _after(loaded: Loaded) -> list[str]:
    runbook = loaded.runbook
    rollback = runbook.on_failure.rollback == "auto"
    what = "What was changed is put back, newest first." if rollback else "Nothing is put back."
    lines = ["## When a step fails", "", what + "", ""]
    for title, checks in (
        ("After that", runbook.on_failure.steps),
        ("When all went well", runbook.on_success),
        ("At the end, whatever happened", runbook.on_exit),
    ):
        lines += _checks(title, checks, loaded)
    return lines
