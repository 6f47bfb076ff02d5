"""Plans that were shown, so that ``--apply HASH`` does what was shown or says what differs.

Also knows what planned steps read from this machine: a plan is no longer true when a template is
another one. Holds no secrets.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.engine.listing import Plan
    from orchestrator.engine.planned import Call, PlannedStep

KEPT = 50
"""Plans that are kept, the newest."""
_SHORTEST = 8
"""Characters of a hash that name a plan."""
_SHOWN = 12


def sources(plan: Plan) -> dict[str, str]:
    """The templates and files that planned steps read here: name and sha256."""
    found: dict[str, str] = {}
    for host in plan.hosts:
        for step in host.all_steps():
            for call in _calls(step):
                for path in _files(call, plan.loaded.ops):
                    if str(path) not in found and path.is_file():
                        digest = hashlib.sha256(path.read_bytes()).hexdigest()
                        found[_named(path, plan.loaded.ops)] = digest
    return found


def keep(folder: Path, plan: Plan) -> None:
    """Keep a plan that is being shown. A folder that cannot be written keeps none."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{plan.hash}.json"
        temporary = path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(plan.to_dict(), stream, indent=1, default=str)
        temporary.replace(path)
        newest = sorted(folder.glob("*.json"), key=lambda one: -one.stat().st_mtime)
        for old in newest[KEPT:]:
            old.unlink(missing_ok=True)


def must_be(folder: Path, plan: Plan, wanted: str) -> None:
    """See that a plan is still the one that was shown.

    Args:
        folder: where plans are kept.
        plan: the plan as it is now.
        wanted: the hash that was shown, or its beginning.

    Raises:
        InvalidInput: it is another one; with what differs, when the one that was shown is kept.
        NotFound: no plan was shown by that hash.
    """
    if len(wanted) < _SHORTEST:
        raise InvalidInput(
            f"--apply {wanted}: {_SHORTEST} characters of the hash are needed",
            hint="invoke ... --plan prints it",
        )
    if plan.hash.startswith(wanted):
        return
    kept = sorted(folder.glob(f"{wanted}*.json")) if wanted.isalnum() else []
    if not kept:
        raise NotFound(
            f"no plan {wanted} was shown here; now it is {plan.hash[:_SHORTEST]}",
            hint="look at it with --plan, then apply that",
        )
    before, now = json.loads(kept[0].read_text(encoding="utf-8")), plan.to_dict()
    changes = list(_differences(before, json.loads(json.dumps(now, default=str))))
    shown = "\n".join(f"  {line}" for line in changes[:_SHOWN])
    more = f"\n  and {len(changes) - _SHOWN} more lines" if len(changes) > _SHOWN else ""
    raise InvalidInput(
        f"the plan is no longer {wanted[:_SHORTEST]} but {plan.hash[:_SHORTEST]}:"
        f"\n{shown or '  settings, variables or a secret of a host'}{more}",
        hint="look at it with --plan, then apply that",
    )


def _differences(before: Any, now: Any) -> Iterator[str]:
    for one in (before, now):
        one.pop("hash", None)
    old, new = (json.dumps(one, indent=1).splitlines() for one in (before, now))
    for line in difflib.unified_diff(old, new, lineterm="", n=0):
        if line[:1] in "+-" and line[:3] not in {"+++", "---"}:
            yield f"{line[0]} {line[1:].strip()}"


def _calls(step: PlannedStep) -> Iterator[Call]:
    for item in step.items:
        for part in (item, item.verify, item.undo):
            if part is not None and part.call is not None:
                yield part.call
                for below in part.call.steps:
                    yield from _calls(below)


def _files(call: Call, ops: Path) -> Iterator[Path]:
    template, source = call.arguments.get("template"), call.arguments.get("source")
    if isinstance(template, str):
        yield ops / "templates" / template
    if call.what == "files.copy" and isinstance(source, str):
        yield Path(source).expanduser()


def _named(path: Path, ops: Path) -> str:
    return str(path.relative_to(ops) if path.is_relative_to(ops) else path)
