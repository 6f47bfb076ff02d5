"""A runbook file as checked data: found by its name, valid, its tasks and references existing.

Everything that is wrong with a runbook, and can be known without a host, is found here.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.engine.arguments import argument_faults
from orchestrator.engine.params import default_faults
from orchestrator.engine.references import reference_faults
from orchestrator.tasks.catalogue import Catalogue
from schemas.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.engine.checked import Checker
    from schemas.runbook import Action, Runbook
    from schemas.source import Document, Keys

_SUFFIXES = {".yaml", ".yml"}


@dataclass(frozen=True)
class Loaded:
    """A runbook that can be planned.

    Args:
        runbook: what it says.
        document: where it says so.
        ops: the folder with ``runbooks/``, ``templates/`` and perhaps ``tasks/`` that it is from.
        catalogue: the tasks that its steps can name.
        nested: the runbooks that its steps name.
    """

    runbook: Runbook
    document: Document
    ops: Path
    catalogue: Catalogue
    nested: dict[str, Loaded] = field(default_factory=dict)


def load_runbook(
    name_or_path: str, ops: Path, checker: Checker, _above: tuple[str, ...] = ()
) -> Loaded:
    """Find, read and check a runbook.

    Args:
        name_or_path: ``deploy``, or the path of a ``.yaml`` file; then its own folder above
            ``runbooks/`` is the one to operate from.
        ops: the folder with ``runbooks/``.
        checker: reads the file.

    Raises:
        NotFound: no such runbook; the hint names the nearest.
        InvalidInput: every fault on a line of its own, with ``file:line``.
    """
    path, ops = _find(name_or_path, ops)
    runbook, document = checker.read(path, "Runbook")
    if runbook.name != path.stem:
        raise InvalidInput(
            f"the runbook in {path.name} is named {runbook.name!r}",
            where=document.where("name"),
            hint=f"write name: {path.stem}, or rename the file",
        )
    catalogue = Catalogue([ops / "tasks"])
    nested: dict[str, Loaded] = {}
    loaded = Loaded(runbook, document, ops, catalogue, nested)
    faults = [*default_faults(runbook.params, document), *reference_faults(runbook, document)]
    for keys, action in actions(runbook):
        faults += _task_faults(loaded, keys, action)
        if action.runbook is not None:
            faults += _nest(loaded, keys, action, checker, (*_above, runbook.name))
    if faults:
        raise _joined(faults)
    return loaded


def runbook_files(ops: Path) -> list[Path]:
    """Every runbook file of a folder, by name."""
    folder = ops / "runbooks"
    files = (file for suffix in _SUFFIXES for file in folder.rglob(f"*{suffix}"))
    return sorted(files, key=lambda file: file.stem)


def actions(runbook: Runbook) -> Iterator[tuple[Keys, Action]]:
    """Every action in a runbook, also verifications and undos, with where it stands."""
    for number, check in enumerate(runbook.preconditions):
        yield ("preconditions", number), check
    for number, step in enumerate(runbook.steps):
        yield ("steps", number), step
        if step.verify is not None:
            yield ("steps", number, "verify"), step.verify
        if step.undo is not None and not hasattr(step.undo, "none"):
            yield ("steps", number, "undo"), step.undo
    for number, check in enumerate(runbook.on_failure.steps):
        yield ("on_failure", "steps", number), check
    for name in ("on_success", "on_exit"):
        for number, check in enumerate(getattr(runbook, name)):
            yield (name, number), check


def _find(name_or_path: str, ops: Path) -> tuple[Path, Path]:
    if Path(name_or_path).suffix in _SUFFIXES:
        path = Path(name_or_path)
        if not path.is_file():
            raise NotFound("there is no such file", where=name_or_path)
        folder = next((one for one in path.absolute().parents if one.name == "runbooks"), None)
        return path, folder.parent if folder else path.absolute().parent
    files = runbook_files(ops)
    for file in files:
        if file.stem == name_or_path:
            return _shown(file), ops
    names = [file.stem for file in files]
    near = difflib.get_close_matches(name_or_path, names, n=3, cutoff=0.5)
    raise NotFound(
        f"there is no runbook {name_or_path!r}",
        where=str(ops / "runbooks"),
        hint=f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}",
    )


def _shown(path: Path) -> Path:
    """The path as messages show it: relative when it is below the working folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _task_faults(loaded: Loaded, keys: Keys, action: Action) -> Iterator[InvalidInput]:
    if action.task is None:
        return
    where = partial(loaded.document.where, *keys)
    try:
        task = loaded.catalogue.task_named(action.task)
    except NotFound as error:
        yield InvalidInput(error.message, where=where("task"), hint=error.hint)
        return
    yield from argument_faults(action.task, task, action.arguments, where)


def _nest(
    loaded: Loaded, keys: Keys, action: Action, checker: Checker, above: tuple[str, ...]
) -> Iterator[InvalidInput]:
    name = str(action.runbook)
    where = partial(loaded.document.where, *keys)
    if name in above:
        circle = " > ".join((*above, name))
        yield InvalidInput(f"runbooks go in a circle: {circle}", where=where("runbook"))
        return
    try:
        below = load_runbook(name, loaded.ops, checker, above)
    except NotFound as error:
        yield InvalidInput(error.message, where=where("runbook"), hint=error.hint)
        return
    loaded.nested[name] = below
    declared = below.runbook.params
    for key in action.arguments:
        if key not in declared:
            near = difflib.get_close_matches(key, list(declared), n=1)
            yield InvalidInput(
                f"the runbook {name} has no parameter {key!r}"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                where=where("with", key),
            )
    for key, parameter in declared.items():
        if parameter.required and not parameter.env and key not in action.arguments:
            yield InvalidInput(f"the runbook {name} needs {key!r}", where=where("runbook"))


def _joined(faults: list[InvalidInput]) -> InvalidInput:
    first, *others = faults
    lines = [f"{other.where}: {other.message}" for other in others]
    return InvalidInput("\n".join([first.message, *lines]), where=first.where, hint=first.hint)
