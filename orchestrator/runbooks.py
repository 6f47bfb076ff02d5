"""What every face calls to tell what a runbook is: read from its file, without asking a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.places import Places, ops_folder

if TYPE_CHECKING:
    from pathlib import Path


def show_runbook(name: str, ops: Path | None = None) -> dict[str, Any]:
    """What a runbook is: its file, parameters, hosts and steps. Asks no host.

    Args:
        name: a runbook's name, or the path of its file.
        ops: the folder with ``runbooks/``; None: this project's.

    Raises:
        NotFound: no such runbook.
        InvalidInput: something is wrong in it; with ``file:line``.
    """
    from orchestrator.engine.checked import Checker
    from orchestrator.engine.load import load_runbook

    checker = Checker(Places.of_this_user().state / "cache")
    loaded = load_runbook(name, ops or ops_folder(), checker)
    runbook = loaded.runbook
    plain = ("name", "title", "description", "hosts", "lock", "timeout")
    return {
        **{key: getattr(runbook, key) for key in plain},
        "path": str(loaded.document.path),
        "guide": list(runbook.guide),
        "alerts": list(runbook.alerts),
        "allow": list(runbook.allow),
        "params": [
            {"name": key, "type": one.type, "required": one.required, "secret": one.secret}
            | {"default": None if one.secret else one.default, "env": one.env, "help": one.help}
            for key, one in runbook.params.items()
        ],
        "steps": [
            {"id": step.id, "title": step.title, "kind": step.kind}
            | {"what": getattr(step, step.kind), "guide": step.guide}
            for step in runbook.steps
        ],
    }
