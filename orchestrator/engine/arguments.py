"""A step's ``with:`` compared with the signature of the task that it names.

Knows signatures and values, not runbooks: it is told where things stand.
"""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

from orchestrator.engine.expressions import Later
from orchestrator.render import is_template
from orchestrator.tasks.catalogue import parameters_of
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from invoke.tasks import Task

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "list": ((list, tuple), "a list"),
    "tuple": ((list, tuple), "a list"),
    "Sequence": ((list, tuple), "a list"),
    "Iterable": ((list, tuple), "a list"),
    "dict": ((dict,), "a mapping"),
    "Mapping": ((dict,), "a mapping"),
    "None": ((type(None),), "nothing"),
}


def argument_faults(
    name: str, task: Task[Any], given: Mapping[str, Any], where: Callable[..., str]
) -> Iterator[InvalidInput]:
    """What is wrong with the arguments: unknown, missing, or of the wrong type.

    Args:
        name: the task's full name.
        task: the Invoke task.
        given: the arguments; templates are passed over.
        where: gives ``file:line`` for ``"with"`` and an argument's name below it.
    """
    parameters = parameters_of(task)
    open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    known = [key for key, one in parameters.items() if one.kind is not one.VAR_KEYWORD]
    for key, value in given.items():
        if key in known:
            fault = type_fault(parameters[key], value)
            if fault:
                yield InvalidInput(f"{name}: {fault[0]}", where=where("with", key), hint=fault[1])
        elif not open_ended:
            near = difflib.get_close_matches(key, known, n=1)
            yield InvalidInput(
                f"{name} has no argument {key!r}"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                where=where("with", key),
                hint=f"it takes {', '.join(known) or 'no arguments'}",
            )
    for key in known:
        if parameters[key].default is inspect.Parameter.empty and key not in given:
            yield InvalidInput(
                f"{name} needs the argument {key!r}",
                where=where("with"),
                hint=f"it takes {', '.join(known)}",
            )


def type_fault(parameter: inspect.Parameter, value: Any) -> tuple[str, str] | None:
    """What is wrong with a value for a parameter, and what to write instead; None when it fits.

    Annotations that are not in the table of plain types allow everything.
    """
    if isinstance(value, Later) or (isinstance(value, str) and is_template(value)):
        return None
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    branches = [branch.partition("[")[0].strip() for branch in text.split("|")]
    wanted = [_TYPES.get(branch) for branch in branches]
    if not text or None in wanted:
        return None
    if any(entry and _fits(value, entry[0]) for entry in wanted):
        return None
    kinds = " or ".join(entry[1] for entry in wanted if entry and entry[1] != "nothing")
    hint = f'write "{value}" in quotes' if branches == ["str"] and _is_scalar(value) else ""
    return f"{parameter.name!r} is {kinds}, not {value!r}", hint


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    # True is an int to Python, and a mistake to a person.
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (int, float))
