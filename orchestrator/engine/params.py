"""The values of a runbook's parameters: from the command line, the environment, the defaults.

Knows the declarations, not where the values go.
"""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput
from schemas.settings import FALSE, TRUE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas.runbook import Parameter
    from schemas.source import Document


def read_params(
    declared: Mapping[str, Parameter],
    given: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Any]:
    """Every parameter's value: given, or else from its variable, or else the default.

    Args:
        declared: the runbook's ``params``.
        given: by name; texts as the command line has them, or values as YAML has them.
        environ: for parameters with ``env``.

    Raises:
        InvalidInput: an unknown name, a required one missing, a wrong type or choice. The value of
            a secret is not quoted.
    """
    for name in given:
        if name not in declared:
            near = difflib.get_close_matches(name, list(declared), n=1)
            raise InvalidInput(
                f"there is no parameter {name!r}"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                hint=f"the parameters are {', '.join(declared) or 'none'}",
            )
    return {name: _value(name, parameter, given, environ) for name, parameter in declared.items()}


def secret_values(declared: Mapping[str, Parameter], values: Mapping[str, Any]) -> list[str]:
    """The texts to mask."""
    found: list[str] = []
    for name, parameter in declared.items():
        if parameter.secret and values[name] is not None:
            value = values[name]
            found += [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return found


def default_faults(declared: Mapping[str, Parameter], document: Document) -> list[InvalidInput]:
    """Defaults that are not what their own declaration allows."""
    faults = []
    for name, parameter in declared.items():
        if parameter.default is None:
            continue
        where = document.where("params", name, "default")
        try:
            convert(name, parameter, parameter.default)
        except InvalidInput as error:
            faults.append(InvalidInput(error.message, where=where, hint=error.hint))
    return faults


def convert(name: str, parameter: Parameter, value: Any) -> Any:
    """A value as its parameter's type.

    Raises:
        InvalidInput: it is not of that type, or not one of the choices.
    """
    shown = "the value" if parameter.secret else repr(value)
    try:
        read = _CONVERT[parameter.type](value)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"parameter {name!r}: {shown} is not of the type {parameter.type}", hint=parameter.help
        ) from None
    if parameter.choices and read not in parameter.choices:
        raise InvalidInput(
            f"parameter {name!r}: {shown} is not allowed",
            hint=f"write one of {', '.join(str(choice) for choice in parameter.choices)}",
        )
    return read


def _value(
    name: str, parameter: Parameter, given: Mapping[str, Any], environ: Mapping[str, str]
) -> Any:
    if name in given:
        return convert(name, parameter, given[name])
    if parameter.env and environ.get(parameter.env):
        return convert(name, parameter, environ[parameter.env])
    if parameter.required:
        variable = f", or set {parameter.env}" if parameter.env else ""
        raise InvalidInput(
            f"the parameter {name!r} is required",
            hint=f"give it a value{variable}" + (f": {parameter.help}" if parameter.help else ""),
        )
    if parameter.default is None:
        return None
    return convert(name, parameter, parameter.default)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise TypeError
        return kind(value)

    return read


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = _text(value).strip().lower()
    if text not in TRUE | FALSE:
        raise ValueError(text)
    return text in TRUE


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [part.strip() for part in _text(value).split(",") if part.strip()]


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "string": _text,
    "integer": _number(int),
    "number": _number(float),
    "boolean": _flag,
    "list": _list,
}
