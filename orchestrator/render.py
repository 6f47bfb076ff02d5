"""Jinja for template files and for the expressions in runbooks: sandboxed, and strict about names.

Knows templates and variables, not runbooks: every function is told where its text stands, so that
an error can say ``file:line``.
"""

from __future__ import annotations

import difflib
import json
import shlex
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jinja2 import FileSystemLoader, StrictUndefined, Template, nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateNotFound, UndefinedError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from schemas.errors import InvalidInput, NotFound, SessionopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from jinja2.environment import TemplateExpression

_T = TypeVar("_T")
_NOT_DEFINED = "is not defined"
_MARKS = ("{{", "{%", "{#")


class _Undefined(StrictUndefined):
    """An undefined name that says so in the words of a runbook, with the nearest name."""

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name = str(self._undefined_name)
        known = self._undefined_obj
        if known is missing:
            return f"{name!r} {_NOT_DEFINED}"
        names = [str(key) for key in known] if isinstance(known, dict) else []
        near = difflib.get_close_matches(name, names, n=1)
        return f"there is no {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def is_template(text: str) -> bool:
    """Whether there is anything in the text for Jinja to do."""
    return any(mark in text for mark in _MARKS)


def render_file(path: Path, variables: Mapping[str, Any]) -> str:
    """A template file with the variables put in; it may include others from its own folder.

    Raises:
        NotFound: no such template; the hint names the nearest one beside it.
        InvalidInput: a syntax error or an undefined name, with the template's ``file:line``.
    """
    environment = _new_environment()
    environment.loader = FileSystemLoader(path.parent)
    try:
        return environment.get_template(path.name).render(variables)
    except TemplateNotFound as error:
        raise _no_template(path, error) from None
    except _CAUGHT as error:
        raise _fault(error, _line_in(error.__traceback__, path) or f"{path}:1", variables) from None


def render_text(text: str, variables: Mapping[str, Any], where: str) -> str:
    """A text with the variables put in.

    Raises:
        InvalidInput: a syntax error or an undefined name, at ``where``.
    """
    if not is_template(text):
        return text
    return _guarded(lambda: _template(text).render(variables), where, variables)


def evaluate(text: str, variables: Mapping[str, Any], where: str) -> Any:
    """The value of a text: a whole expression ``{{ params.keep }}`` keeps its type.

    Raises:
        InvalidInput: a syntax error or an undefined name, at ``where``.
    """
    if not is_template(text):
        return text
    expression = _guarded(lambda: _whole_expression(text), where, variables)
    if expression is None:
        return render_text(text, variables, where)
    return evaluate_expression(expression, variables, where)


def evaluate_expression(expression: str, variables: Mapping[str, Any], where: str) -> Any:
    """The value of a bare expression, as in ``when:``.

    Raises:
        InvalidInput: a syntax error or an undefined name, at ``where``.
    """

    def value() -> Any:
        found = _expression(expression)(**variables)
        # An undefined name has no value: asking for its truth raises what is wrong with it.
        if isinstance(found, StrictUndefined):
            bool(found)
        return found

    return _guarded(value, where, variables)


def parse(text: str, where: str) -> tuple[nodes.Template, set[str]]:
    """The syntax tree of a text, and the variables that it needs.

    Raises:
        InvalidInput: a syntax error or an unknown filter, at ``where``.
    """

    def parsed() -> tuple[nodes.Template, set[str]]:
        tree = _environment().parse(text)
        return tree, find_undeclared_variables(tree)

    return _guarded(parsed, where, {})


def _new_environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=_Undefined,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quote"] = lambda value: shlex.quote(str(value))
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.filters["yaml"] = _as_yaml
    return environment


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    return _new_environment()


@lru_cache(maxsize=1000)
def _template(text: str) -> Template:
    return _environment().from_string(text)


@lru_cache(maxsize=1000)
def _expression(expression: str) -> TemplateExpression:
    return _environment().compile_expression(expression, undefined_to_none=False)


@lru_cache(maxsize=1000)
def _whole_expression(text: str) -> str | None:
    """The expression when the text is nothing but one ``{{ ... }}``."""
    inner = text.strip()
    if not (inner.startswith("{{") and inner.endswith("}}")):
        return None
    body = _environment().parse(inner).body
    output = body[0] if len(body) == 1 else None
    if not isinstance(output, nodes.Output) or len(output.nodes) != 1:
        return None
    return inner[2:-2].strip("-").strip()


def _as_yaml(value: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()


_CAUGHT = (TemplateError, TypeError, ValueError, ZeroDivisionError, OverflowError, RecursionError)


def _guarded(action: Callable[[], _T], where: str, variables: Mapping[str, Any]) -> _T:
    try:
        return action()
    except _CAUGHT as error:
        raise _fault(error, where, variables) from None


def _fault(error: Exception, where: str, variables: Mapping[str, Any]) -> InvalidInput:
    if isinstance(error, SecurityError):
        return InvalidInput(f"this is not allowed in a template: {error}", where=where)
    if isinstance(error, UndefinedError):
        return InvalidInput(str(error), where=where, hint=_known_names(str(error), variables))
    if isinstance(error, TemplateError):
        return InvalidInput(f"this is not a valid template: {error.message}", where=where)
    return InvalidInput(f"this expression cannot be computed: {error}", where=where)


def _known_names(message: str, variables: Mapping[str, Any]) -> str:
    if not message.endswith(_NOT_DEFINED):
        return ""
    near = difflib.get_close_matches(message.split("'")[1], list(variables), n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"what can stand here: {', '.join(sorted(variables))}"


def _line_in(traceback: TracebackType | None, path: Path) -> str | None:
    """The innermost line of a template in a traceback, which Jinja rewrites to template lines."""
    found = None
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if Path(file).parent == path.parent:
            found = f"{file}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def _no_template(path: Path, error: TemplateNotFound) -> SessionopsError:
    name = str(error.name or path.name)
    others = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(name, others, n=1)
    return NotFound(
        f"there is no template {name!r}",
        where=str(path.parent),
        hint=f"did you mean {near[0]}?" if near else "",
    )
