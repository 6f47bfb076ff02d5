"""From a runbook, hosts, parameters and settings to a plan. Pure: reads nothing, runs nothing.

Knows what is to be done where; not how it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.engine.batches import batches
from orchestrator.engine.expressions import RUNTIME, Later, is_settled
from orchestrator.engine.listing import Plan
from orchestrator.engine.params import read_params, secret_values
from orchestrator.engine.planned import HostPlan, PlannedStep
from orchestrator.engine.rendering import Rendering, View
from orchestrator.redact import SecretRegistry
from orchestrator.tasks.scope import base_variables
from schemas.errors import InvalidInput
from schemas.settings import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.engine.load import Loaded
    from orchestrator.engine.planned import Target
    from schemas.run import Phase
    from schemas.runbook import Step
    from schemas.source import Keys


def make_plan(
    loaded: Loaded,
    targets: Sequence[Target],
    params: Mapping[str, Any],
    missing: Mapping[str, str] | None = None,
) -> Plan:
    """Render a runbook for hosts.

    Args:
        loaded: the runbook.
        targets: the hosts, in order.
        params: every parameter's value, as ``read_params`` gives them.
        missing: hosts that do not answer and that the run goes without, with why.

    Raises:
        InvalidInput: an undefined name, a wrong type or a loop over no list, with ``file:line``.
    """
    secrets = SecretRegistry(secret_values(loaded.runbook.params, params))
    for target in targets:
        for name in target.settings:
            if BY_NAME[name].kind == "secret":
                secrets.add(target.settings[name])
    try:
        hosts = tuple(
            _Planner(loaded, target, params, secrets, tuple(targets)).host_plan()
            for target in targets
        )
    except InvalidInput as error:
        # A message may quote a value.
        message, hint = secrets.mask(error.message), secrets.mask(error.hint)
        raise InvalidInput(message, where=error.where, hint=hint) from None
    names = [target.facts.name for target in targets]
    return Plan(
        loaded=loaded,
        params=dict(params),
        hosts=hosts,
        batches=batches(names, loaded.runbook.serial, loaded.document.where("serial")),
        secrets=secrets,
        missing=dict(missing or {}),
    )


def plan_nested(
    loaded: Loaded,
    target: Target,
    arguments: Mapping[str, Any],
    secrets: SecretRegistry,
    peers: tuple[Target, ...] = (),
) -> tuple[dict[str, Any], tuple[PlannedStep, ...]]:
    """A runbook inside another: its variables, and its preconditions and steps on one host.

    Its handlers, lock and batches belong to a run of its own.

    Args:
        loaded: the inner runbook.
        target: the host.
        arguments: its parameters, as the step around it gives them.
        secrets: learns the values of secret parameters.
        peers: all hosts of the run; none: this one alone.

    Raises:
        InvalidInput: as ``make_plan``, and for the arguments.
    """
    params = read_params(loaded.runbook.params, arguments)
    for value in secret_values(loaded.runbook.params, params):
        secrets.add(value)
    return _Planner(loaded, target, params, secrets, peers or (target,)).nested()


class _Planner:
    """Plans one runbook for one host."""

    def __init__(
        self,
        loaded: Loaded,
        target: Target,
        params: Mapping[str, Any],
        secrets: SecretRegistry,
        peers: tuple[Target, ...],
    ) -> None:
        self.peers = peers
        self.runbook = loaded.runbook
        self.target = target
        self.secrets = secrets
        self.variables = base_variables(target.facts, target.settings, params, loaded.ops)
        registered = {step.register_as for step in self.runbook.steps if step.register_as}
        self.view = View(self.variables, RUNTIME | registered)
        self.rendering = Rendering(loaded, self._below, secrets)

    def host_plan(self) -> HostPlan:
        return HostPlan(
            target=self.target,
            variables=self.variables,
            preconditions=self._checks("precondition", ("preconditions",)),
            steps=self._steps(),
            on_failure=self._checks("on_failure", ("on_failure", "steps")),
            on_success=self._checks("on_success", ("on_success",)),
            on_exit=self._checks("on_exit", ("on_exit",)),
            peers=self.peers,
        )

    def nested(self) -> tuple[dict[str, Any], tuple[PlannedStep, ...]]:
        checks = self._checks("precondition", ("preconditions",))
        return self.variables, (*checks, *self._steps())

    def _below(self, loaded: Loaded, arguments: Mapping[str, Any]) -> tuple[PlannedStep, ...]:
        return plan_nested(loaded, self.target, arguments, self.secrets, self.peers)[1]

    def _steps(self) -> tuple[PlannedStep, ...]:
        return tuple(
            self._step(("steps", number), step)
            for number, step in enumerate(self.runbook.steps)
            if self._is_for_this_host(("steps", number), step)
        )

    def _is_for_this_host(self, keys: Keys, step: Step) -> bool:
        return self._is_for(self.target, keys, step)

    def _is_for(self, target: Target, keys: Keys, step: Step) -> bool:
        if step.hosts is None:
            return True
        return target.matches(step.hosts, self.rendering.where(*keys, "hosts"))

    def _leader(self, keys: Keys, step: Step) -> str:
        """The host that does a step which is done once: the first that the step is for."""
        if not step.run_once:
            return ""
        return next(target.facts.name for target in self.peers if self._is_for(target, keys, step))

    def _step(self, keys: Keys, step: Step) -> PlannedStep:
        loop = self._loop(keys, step)
        if loop is None:
            items = [self.rendering.step_item(keys, step, self.view)]
        elif isinstance(loop, Later):
            items = [self.rendering.step_item(keys, step, self.view.without_item())]
        else:
            items = [
                self.rendering.step_item(keys, step, self.view.with_item(value), value)
                for value in loop
            ]
        return PlannedStep(
            phase="step",
            id=step.id,
            title=step.title,
            where=self.rendering.where(*keys),
            items=tuple(items),
            loop=loop if isinstance(loop, Later) else None,
            looped=loop is not None,
            ignore_errors=step.ignore_errors,
            register=step.register_as,
            guide=step.guide,
            once=self._leader(keys, step),
        )

    def _loop(self, keys: Keys, step: Step) -> Later | list[Any] | None:
        if step.loop is None:
            return None
        where = self.rendering.where(*keys, "loop")
        value = self.rendering.resolved(step.loop, self.view, *keys, "loop")
        if isinstance(value, Later):
            return value
        if not is_settled(value):
            raise InvalidInput(
                "a loop is either known before the run, or one expression",
                where=where,
                hint='write the whole list as one "{{ ... }}"',
            )
        if not isinstance(value, (list, tuple)):
            raise InvalidInput(f"a loop goes over a list, not over {value!r}", where=where)
        return list(value)

    def _checks(self, phase: Phase, keys: Keys) -> tuple[PlannedStep, ...]:
        found: Any = self.runbook
        for key in keys:
            found = getattr(found, str(key))
        planned = []
        for number, check in enumerate(found):
            name = check.id or f"{phase}_{number + 1}"
            item = self.rendering.item((*keys, number), check, self.view)
            planned.append(
                PlannedStep(
                    phase=phase,
                    id=name,
                    title=check.name or (item.call.summary() if item.call else name),
                    where=self.rendering.where(*keys, number),
                    items=(item,),
                    ignore_errors=check.ignore_errors,
                )
            )
        return tuple(planned)
