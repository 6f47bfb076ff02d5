"""Expressions in runbooks: what they refer to, and rendering now or leaving for later.

What only the run can know (``steps``, registered names, ``run``) stays a ``Later`` in the plan.
Knows YAML values and variables, not hosts or tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from jinja2 import nodes

from orchestrator.render import evaluate, evaluate_expression, is_template, parse
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RUNTIME = frozenset({"steps", "run"})
"""Names that have no value before the run."""


class Later(str):
    """A template that only the run can fill in. Prints as it was written.

    Args:
        text: the template, or with ``expression`` the bare expression.
        where: ``file:line``.
    """

    __slots__ = ("expression", "where")
    where: str
    expression: bool

    def __new__(cls, text: str, where: str, *, expression: bool = False) -> Self:
        """A template, remembered with where it stands."""
        made = super().__new__(cls, text)
        made.where = where
        made.expression = expression
        return made

    def value(self, variables: Mapping[str, Any]) -> Any:
        """The value now.

        Raises:
            InvalidInput: an undefined name.
        """
        render = evaluate_expression if self.expression else evaluate
        return render(str(self), variables, self.where)


@dataclass(frozen=True)
class References:
    """What a template refers to.

    Args:
        names: variables at the top: ``params``, ``steps``, ``item``.
        steps: ids in ``steps.<id>``.
        params: names in ``params.<name>``.
    """

    names: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()


def references(text: str, where: str, *, expression: bool = False) -> References:
    """What a template, or a bare expression, refers to.

    Raises:
        InvalidInput: it is not valid Jinja.
    """
    if expression:
        if is_template(text):
            raise InvalidInput(
                "an expression stands here, without braces",
                where=where,
                hint=f"write {text.replace('{{', '').replace('}}', '').strip()}",
            )
        text = "{{ " + text + " }}"
    elif not is_template(text):
        return References()
    return _references(text, where)


@lru_cache(maxsize=1000)
def _references(text: str, where: str) -> References:
    tree, names = parse(text, where)
    return References(
        names=frozenset(names),
        steps=frozenset(_members(tree, "steps")),
        params=frozenset(_members(tree, "params")),
    )


def _members(tree: nodes.Template, name: str) -> set[str]:
    found = {
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == name
    }
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and item.node.name == name:
            key = item.arg.value if isinstance(item.arg, nodes.Const) else None
            found |= {str(key)} if key is not None else set()
    return found


def resolve(
    value: Any,
    variables: Mapping[str, Any],
    later: frozenset[str],
    where: Callable[..., str],
    keys: tuple[str | int, ...] = (),
) -> Any:
    """A YAML value with its templates rendered, those that need a name in ``later`` left over.

    Args:
        value: text, list, mapping or scalar.
        variables: what is known now.
        later: names that are known at run time only.
        where: gives ``file:line`` for the keys below ``value``.
        keys: where ``value`` stands below that.

    Raises:
        InvalidInput: an undefined name or a syntax error.
    """
    if isinstance(value, str):
        place = where(*keys)
        if references(value, place).names & later:
            return Later(value, place)
        return evaluate(value, variables, place)
    if isinstance(value, dict):
        return {
            key: resolve(item, variables, later, where, (*keys, key)) for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            resolve(item, variables, later, where, (*keys, number))
            for number, item in enumerate(value)
        ]
    return value


def condition(
    expression: str, variables: Mapping[str, Any], later: frozenset[str], where: str
) -> bool | Later:
    """What a ``when:`` says now, or the expression when only the run can tell.

    Raises:
        InvalidInput: an undefined name or a syntax error.
    """
    if references(expression, where, expression=True).names & later:
        return Later(expression, where, expression=True)
    return bool(evaluate_expression(expression, variables, where))


def settle(value: Any, variables: Mapping[str, Any]) -> Any:
    """A planned value with each ``Later`` in it filled in.

    Raises:
        InvalidInput: an undefined name.
    """
    if isinstance(value, Later):
        return value.value(variables)
    if isinstance(value, dict):
        return {key: settle(item, variables) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [settle(item, variables) for item in value]
    return value


def is_settled(value: Any) -> bool:
    """Whether there is no ``Later`` in a planned value."""
    if isinstance(value, Later):
        return False
    if isinstance(value, dict):
        return all(is_settled(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(is_settled(item) for item in value)
    return True
