"""What a plan consists of: data only, rendered as far as it can be before the run.

Values that only the run can know are ``Later`` templates.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.engine.expressions import Later, is_settled, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.engine.load import Loaded
    from orchestrator.tasks.scope import HostFacts
    from schemas.run import Phase
    from schemas.runbook import Retry
    from schemas.settings import Settings

Kind = Literal["task", "run", "runbook", "manual"]
_SHOWN = 160


@dataclass(frozen=True)
class Call:
    """One thing to do.

    Args:
        kind: what ``what`` is: a task's name, a line of sh, a runbook's name, a text for a person.
        what: see ``kind``.
        arguments: for a task or runbook, by name.
        where: ``file:line``.
        env: variables for its commands.
        sudo: as root.
        timeout: seconds that one attempt may take.
        retry: how often to try.
        nested: the runbook that it names.
        steps: that runbook's steps, when its arguments are known before the run.
        allow_yes: of what a person does: whether ``--yes`` says that it is done.
    """

    kind: Kind
    what: str
    where: str
    arguments: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    sudo: bool = False
    timeout: float | None = None
    retry: Retry | None = None
    nested: Loaded | None = field(default=None, repr=False, compare=False)
    steps: tuple[PlannedStep, ...] = ()
    allow_yes: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        found: dict[str, Any] = {
            self.kind: str(self.what),
            "with": self.arguments,
            "env": self.env,
            "sudo": self.sudo,
            "timeout": self.timeout,
            "retry": _retry(self.retry),
            "steps": [step.as_dict() for step in self.steps],
        }
        return {key: value for key, value in found.items() if value}

    def summary(self) -> str:
        """In one line, as a person reads it."""
        words = [f"{name}={short(value)}" for name, value in self.arguments.items()]
        line = " ".join([" ".join(str(self.what).split()), *words])
        return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


@dataclass(frozen=True)
class Consent:
    """A question that is put before an item is done.

    Args:
        prompt: what is asked.
        timeout: seconds to wait for the answer.
        by: who may answer; empty: anybody.
        allow_yes: whether ``--yes`` is an answer.
    """

    prompt: str
    timeout: float
    by: tuple[str, ...] = ()
    allow_yes: bool = False


@dataclass(frozen=True)
class Item:
    """A call with its condition and what belongs to it; a step has one for each item of its loop.

    Args:
        when: whether it is done, or the expression when only the run can tell.
        call: what is done; None when ``when`` is False.
        value: the loop's item.
        approval: question before it.
        verify: checked afterwards.
        undo: what takes it back, instead of what the task says.
        no_undo: why nothing takes it back.
    """

    when: bool | Later
    call: Call | None
    value: Any = None
    approval: Consent | None = None
    verify: Item | None = None
    undo: Item | None = None
    no_undo: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        found: dict[str, Any] = {
            "item": self.value,
            **(self.call.as_dict() if self.call else {}),
            "approval": self.approval.prompt if self.approval else None,
            "verify": self.verify.as_dict() if self.verify else None,
            "undo": self.undo.as_dict() if self.undo else self.no_undo,
        }
        shown = {key: value for key, value in found.items() if value not in (None, "")}
        if self.when is not True:
            shown["when"] = self.when
        return shown


@dataclass(frozen=True)
class PlannedStep:
    """One step on one host.

    Args:
        phase: which part of the runbook it is from.
        id: the step's id; those of checks and handlers are made up from their place.
        title: for people.
        where: ``file:line``.
        items: what to do, in order; with a ``loop`` that is known only later, one pattern for all.
        loop: the loop's expression, when only the run can tell.
        looped: whether the step has a loop at all.
        ignore_errors: whether the run goes on after its failure.
        register: the name that its result gets beside ``steps.<id>``.
        guide: the section of the guide that it carries out.
        once: for a step that one host does for all: that host's name.
    """

    phase: Phase
    id: str
    title: str
    where: str
    items: tuple[Item, ...]
    loop: Later | None = None
    looped: bool = False
    ignore_errors: bool = False
    register: str | None = None
    guide: str | None = None
    once: str = ""

    def is_done_on(self, host: str) -> bool:
        """Whether it is planned to be done there; elsewhere its result is only waited for."""
        return self.once in {"", host}

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        found: dict[str, Any] = {
            "phase": self.phase,
            "id": self.id,
            "title": self.title,
            "guide": self.guide,
            "loop": self.loop,
            "ignore_errors": self.ignore_errors,
            "once": bool(self.once),
        }
        shown = {key: value for key, value in found.items() if value}
        items = [item.as_dict() for item in self.items]
        return {**shown, "items": items} if self.looped else {**shown, **items[0]}


def _any_pattern(_pattern: str, _where: str) -> bool:
    return True


@dataclass(frozen=True)
class Target:
    """A host to plan for.

    Args:
        facts: what is known about it.
        settings: the settings in force there.
        matches: whether a pattern of hosts, which stands at a ``file:line``, names it.
    """

    facts: HostFacts
    settings: Settings
    matches: Callable[[str, str], bool] = _any_pattern


@dataclass(frozen=True)
class HostPlan:
    """Everything that is planned for one host.

    Args:
        target: the host.
        peers: all hosts of the run, in order.
        variables: what expressions and templates see.
        preconditions, steps, on_failure, on_success, on_exit: in order.
    """

    target: Target
    variables: dict[str, Any]
    preconditions: tuple[PlannedStep, ...]
    steps: tuple[PlannedStep, ...]
    on_failure: tuple[PlannedStep, ...]
    on_success: tuple[PlannedStep, ...]
    on_exit: tuple[PlannedStep, ...]
    peers: tuple[Target, ...] = ()

    @property
    def facts(self) -> HostFacts:
        """What is known about the host."""
        return self.target.facts

    @property
    def settings(self) -> Settings:
        """The settings in force there."""
        return self.target.settings

    def all_steps(self) -> Iterator[PlannedStep]:
        """Every planned step, handlers too."""
        yield from self.preconditions
        yield from self.steps
        yield from self.on_failure
        yield from self.on_success
        yield from self.on_exit


def _retry(retry: Retry | None) -> dict[str, Any] | None:
    names = ("limit", "delay", "backoff", "on_exit_codes")
    return {name: getattr(retry, name) for name in names} if retry else None


def settled_call(call: Call, variables: Mapping[str, Any]) -> Call:
    """A planned call with every value known.

    Raises:
        InvalidInput: an undefined name.
    """
    if is_settled([call.what, call.arguments, call.env]):
        return call
    return replace(
        call,
        what=str(settle(call.what, variables)),
        arguments=settle(call.arguments, variables),
        env={key: str(value) for key, value in settle(call.env, variables).items()},
    )


def holds(when: bool | Later, variables: Mapping[str, Any]) -> bool:
    """Whether a planned condition is true now.

    Raises:
        InvalidInput: an undefined name.
    """
    return bool(when.value(variables)) if isinstance(when, Later) else when


def short(value: Any) -> str:
    """A value as one line shows it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
