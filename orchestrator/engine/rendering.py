"""One action of a runbook as a planned item: condition, call, verification, undo.

Knows what stands in the runbook and what expressions see; not which hosts or steps there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from orchestrator.engine.arguments import type_fault
from orchestrator.engine.expressions import Later, condition, is_settled, resolve
from orchestrator.engine.planned import Call, Consent, Item
from orchestrator.engine.references import secret_in_line
from orchestrator.tasks.catalogue import parameters_of
from schemas.errors import InvalidInput
from schemas.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.engine.load import Loaded
    from orchestrator.engine.planned import PlannedStep
    from orchestrator.redact import SecretRegistry
    from schemas.runbook import Action, Check, Step
    from schemas.source import Keys

    Nested = Callable[[Loaded, Mapping[str, Any]], tuple[PlannedStep, ...]]


@dataclass(frozen=True)
class View:
    """What expressions see.

    Args:
        variables: what is known now.
        later: names that only the run can know.
    """

    variables: Mapping[str, Any]
    later: frozenset[str]

    def with_item(self, value: Any) -> View:
        """The same inside a loop, at one of its items."""
        return View({**self.variables, "item": value}, self.later)

    def without_item(self) -> View:
        """The same inside a loop whose items only the run can know."""
        return View(self.variables, self.later | {"item"})


class Rendering:
    """Renders the actions of one runbook.

    Args:
        loaded: the runbook.
        nested: plans the steps of a runbook inside it.
        secrets: what no line of sh may hold.
    """

    def __init__(self, loaded: Loaded, nested: Nested, secrets: SecretRegistry) -> None:
        self._loaded = loaded
        self._nested = nested
        self._secrets = secrets

    def where(self, *keys: str | int) -> str:
        """``file:line`` of a place in the runbook."""
        return self._loaded.document.where(*keys)

    def resolved(self, value: Any, view: View, *keys: str | int) -> Any:
        """A value of the runbook, rendered as far as it can be now.

        Raises:
            InvalidInput: an undefined name or a syntax error.
        """
        return resolve(value, view.variables, view.later, partial(self.where, *keys))

    def item(self, keys: Keys, action: Step | Check, view: View, value: Any = None) -> Item:
        """An action with its condition.

        Args:
            keys: where it stands.
            action: what stands there.
            view: what expressions see.
            value: the loop's item.

        Raises:
            InvalidInput: an undefined name, a syntax error or an argument of the wrong type.
        """
        when: bool | Later = True
        if action.when is not None:
            place = self.where(*keys, "when")
            when = condition(action.when, view.variables, view.later, place)
        call = None if when is False else self._call(keys, action, view)
        return Item(when=when, call=call, value=value)

    def step_item(self, keys: Keys, step: Step, view: View, value: Any = None) -> Item:
        """A step's action with all that belongs to it. Arguments and errors as for ``item``."""
        item = self.item(keys, step, view, value)
        if item.call is None:
            return item
        approval = verify = undo = None
        if step.approval is not None:
            prompt = self.resolved(step.approval.prompt, view, *keys, "approval", "prompt")
            timeout = parse_duration(step.approval.timeout)
            by, allow_yes = tuple(step.approval.by), step.approval.allow_yes
            approval = Consent(prompt, timeout, by, allow_yes)
        if step.verify is not None:
            verify = self.item((*keys, "verify"), step.verify, view)
        reason = getattr(step.undo, "none", "")
        if step.undo is not None and not reason:
            undo = self.item((*keys, "undo"), cast("Check", step.undo), view)
        return replace(item, approval=approval, verify=verify, undo=undo, no_undo=reason)

    def _call(self, keys: Keys, action: Action, view: View) -> Call:
        kind: Any = action.kind
        what = getattr(action, kind)
        if kind in {"run", "manual"}:
            what = self.resolved(what, view, *keys, kind)
        if kind == "run" and self._secrets.is_in(str(what)):
            raise secret_in_line(self.where(*keys, kind))
        arguments = self.resolved(action.arguments, view, *keys, "with")
        env = self.resolved(action.env, view, *keys, "env")
        call = Call(
            kind=kind,
            what=what if isinstance(what, str) else str(what),
            where=self.where(*keys, kind),
            arguments=arguments,
            env={name: one if isinstance(one, Later) else str(one) for name, one in env.items()},
            sudo=action.sudo,
            timeout=parse_duration(action.timeout) if action.timeout else None,
            retry=action.retry,
            allow_yes=action.allow_yes,
            nested=self._loaded.nested.get(what) if kind == "runbook" else None,
        )
        if kind == "task":
            self._check_types(call, keys)
        if call.nested is not None and is_settled(arguments):
            return replace(call, steps=self._nested(call.nested, arguments))
        return call

    def _check_types(self, call: Call, keys: Keys) -> None:
        parameters = parameters_of(self._loaded.catalogue.task_named(call.what))
        for name, value in call.arguments.items():
            fault = type_fault(parameters[name], value) if name in parameters else None
            if fault:
                place = self.where(*keys, "with", name)
                raise InvalidInput(f"{call.what}: {fault[0]}", where=place, hint=fault[1])
