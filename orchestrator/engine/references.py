"""What the expressions of a runbook refer to, checked before anything is rendered.

A misspelt step or parameter is found even in a step that this run would skip.
"""

from __future__ import annotations

import difflib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchestrator.engine.expressions import RUNTIME, references
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.runbook import Action, Runbook
    from schemas.source import Document, Keys

KNOWN_BEFORE = frozenset({"params", "host", "vars", "settings", "paths", "urls"})
"""Names that have a value before the run."""
_RENDERED = ("with", "run", "manual", "env")


def reference_faults(runbook: Runbook, document: Document) -> Iterator[InvalidInput]:
    """Steps that are not there (yet), parameters that are not declared, names taken twice."""
    check = _Checker(runbook, document)
    for number, action in enumerate(runbook.preconditions):
        yield from check.action(("preconditions", number), action, known=())
    done: list[str] = []
    for number, step in enumerate(runbook.steps):
        keys: Keys = ("steps", number)
        yield from check.action(keys, step, known=done)
        yield from check.name(keys, step.register_as)
        done.append(step.id)
        for part in ("verify", "undo"):
            action = getattr(step, part)
            if action is not None and hasattr(action, "kind"):
                yield from check.action((*keys, part), action, known=done)
    for number, action in enumerate(runbook.on_failure.steps):
        yield from check.action(("on_failure", "steps", number), action, known=done)
    for name in ("on_success", "on_exit"):
        for number, action in enumerate(getattr(runbook, name)):
            yield from check.action((name, number), action, known=done)


def secret_in_line(where: str) -> InvalidInput:
    """A line of sh is an argument of a process, which every user of the host can read."""
    return InvalidInput(
        "a secret stands in this line of sh, where every user of the host can see it",
        where=where,
        hint='pass it with env: {NAME: "{{ params.x }}"} and write "$NAME"',
    )


class _Checker:
    def __init__(self, runbook: Runbook, document: Document) -> None:
        self.runbook = runbook
        self.document = document
        self.registered: set[str] = set()

    def name(self, keys: Keys, register: str | None) -> Iterator[InvalidInput]:
        if register is None:
            return
        if register in KNOWN_BEFORE | RUNTIME | {"item"} | self.registered:
            yield InvalidInput(
                f"the name {register!r} is taken", where=self.document.where(*keys, "register")
            )
        self.registered.add(register)

    def action(self, keys: Keys, action: Action, known: Iterable[str]) -> Iterator[InvalidInput]:
        raw = self._raw(keys)
        for name in _RENDERED:
            yield from self._value((*keys, name), raw.get(name), list(known))
        yield from self._secrets((*keys, "run"), raw.get("run"))
        loop = getattr(action, "loop", None)
        yield from self._value((*keys, "loop"), loop, list(known))
        approval = getattr(action, "approval", None)
        if approval is not None:
            yield from self._text((*keys, "approval", "prompt"), approval.prompt, list(known))
        when = getattr(action, "when", None)
        if when is not None:
            yield from self._text((*keys, "when"), when, list(known), expression=True)

    def _secrets(self, keys: Keys, line: Any) -> Iterator[InvalidInput]:
        secret = {name for name, one in self.runbook.params.items() if one.secret}
        where = self.document.where(*keys)
        # What cannot be parsed is told of as that, not here.
        with suppress(InvalidInput):
            if isinstance(line, str) and references(line, where).params & secret:
                yield secret_in_line(where)

    def _raw(self, keys: Keys) -> dict[str, Any]:
        data = self.document.data
        for key in keys:
            data = data[key]
        return dict(data)

    def _value(self, keys: Keys, value: Any, known: list[str]) -> Iterator[InvalidInput]:
        if isinstance(value, str):
            yield from self._text(keys, value, known)
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from self._value((*keys, key), item, known)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from self._value((*keys, number), item, known)

    def _text(
        self, keys: Keys, text: str, known: list[str], *, expression: bool = False
    ) -> Iterator[InvalidInput]:
        where = self.document.where(*keys)
        try:
            found = references(text, where, expression=expression)
        except InvalidInput as error:
            yield error
            return
        for name in sorted(found.params - set(self.runbook.params)):
            near = difflib.get_close_matches(name, list(self.runbook.params), n=1)
            yield InvalidInput(
                f"the parameter {name!r} is not declared"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                where=where,
                hint=f"the parameters are {', '.join(self.runbook.params) or 'none'}",
            )
        for name in sorted(found.steps - set(known)):
            yield InvalidInput(self._about(name, known), where=where)

    def _about(self, name: str, known: list[str]) -> str:
        if any(step.id == name for step in self.runbook.steps):
            return f"the step {name!r} has not run when this is needed"
        near = difflib.get_close_matches(name, known, n=1)
        return f"there is no step {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
