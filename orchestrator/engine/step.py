"""Carrying out planned steps on one host: condition, loop, approval, verification, nesting.

Knows one host; the order of hosts, handlers and the rollback are decided in ``run``.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.engine.ask import Question
from orchestrator.engine.attempt import Job, Subject, attempt, error_line, tell
from orchestrator.engine.expressions import settle
from orchestrator.engine.plan import plan_nested
from orchestrator.engine.planned import holds, settled_call
from orchestrator.engine.results import StepResult, combined
from orchestrator.engine.undo import Reversal, reversals
from orchestrator.redact import MASK
from orchestrator.tasks.outcome import Outcome
from schemas.errors import HostLost, InvalidInput, SessionopsError, StepFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.engine.attempt import Shared
    from orchestrator.engine.calls import Caller
    from orchestrator.engine.load import Loaded
    from orchestrator.engine.planned import Call, Consent, HostPlan, Item, PlannedStep
    from schemas.run import StepState


class Cancelled(Exception):
    """Somebody asked the run to stop, and the step that was going on is over."""


@dataclass(frozen=True)
class Around:
    """A runbook inside another.

    Args:
        variables: what its expressions see.
        prefix: the ids of the steps around it, put before its own.
    """

    variables: Mapping[str, Any]
    prefix: str


class HostRun:
    """One host's part of a run.

    Args:
        plan: what is planned for the host.
        loaded: the runbook.
        caller: does a call there.
        shared: what the hosts of the run have in common.
        around: for a nested runbook.
    """

    def __init__(
        self,
        plan: HostPlan,
        loaded: Loaded,
        caller: Caller,
        shared: Shared,
        *,
        around: Around | None = None,
    ) -> None:
        self.plan = plan
        self.name = plan.facts.name
        self._loaded = loaded
        self._shared = shared
        self._prefix = around.prefix if around else ""
        self._steps: dict[str, StepResult] = {}
        self._variables: dict[str, Any] = {
            **(around.variables if around else plan.variables),
            "steps": self._steps,
            "run": shared.facts,
        }
        self._caller = caller.seeing(self._variables)

    def perform(self, step: PlannedStep) -> StepResult:
        """Carry out a step and remember its result for later expressions.

        A step that is done once for all hosts is done by one of them; the others wait for it.

        Raises:
            Cancelled: before one of its items, somebody had asked to stop.
            StoppedNow: somebody asked twice.
        """
        if not step.once:
            return self._perform(step)
        by, result = self._shared.once.result(
            self._prefix + step.id,
            self.name,
            step.once,
            lambda: self._perform(step),
            self._look,
        )
        if by == self.name:
            return result
        if result.failed:
            error = f"failed on {by}, where it was to be done once for all"
            result = StepResult(ok=False, error=error, hint=result.hint)
            state: StepState = "ignored" if step.ignore_errors else "failed"
            tell(self._shared, self._subject(step), state, error=error, hint=result.hint)
        else:
            tell(self._shared, self._subject(step), "skipped", message=f"done once, on {by}")
        self._remember(step, result)
        return replace(result, changed=False)

    def _look(self) -> None:
        if self._shared.stop.asked or self._shared.enough.is_set():
            raise Cancelled

    def _perform(self, step: PlannedStep) -> StepResult:
        results = []
        try:
            items = self._items(step)
        except InvalidInput as error:
            results.append(self._cannot(step, None, error))
            items = []
        for number, item in enumerate(items):
            past = self._past(step, item, number)
            if past is not None:
                results.append(past)
                if past.failed:
                    break
                continue
            if self._shared.stop.asked and step.phase in {"precondition", "step"}:
                raise Cancelled
            results.append(self._item(step, item, number))
            if results[-1].failed:
                break
        result = combined(results, looped=step.looped)
        self._remember(step, result)
        return result

    def undo(self, reversal: Reversal) -> StepResult:
        """Carry out a reversal on this host."""
        if reversal.call is None:
            return StepResult(skipped=True)
        step = replace(reversal.step, phase="undo", ignore_errors=False)
        subject = Subject(step, reversal.id, self.name)
        if MASK in json.dumps(reversal.call.as_dict(), default=str):
            error = "what takes it back holds a secret, which no journal keeps"
            hint = "take it back by hand"
            tell(self._shared, subject, "failed", error=error, hint=hint)
            return StepResult(ok=False, error=error, hint=hint)
        job = Job(subject, reversal.call, partial(self._once, step, 0), reverses=reversal)
        return attempt(job, self._shared)

    def _past(self, step: PlannedStep, item: Item, number: int) -> StepResult | None:
        """The result of an item that an earlier process of this run has finished."""
        past, name = self._shared.past, self._prefix + step.id
        result = past.result(self.name, name, number, step.phase)
        if result is None or item.verify is None or past.is_verified(self.name, name, number):
            return result
        self._remember(step, result)
        variables = {**self._variables, "item": item.value} if step.looped else self._variables
        return self._verified(step, item, result, variables, number)

    def _items(self, step: PlannedStep) -> list[Item]:
        if step.loop is None:
            return list(step.items)
        values = step.loop.value(self._variables)
        if not isinstance(values, (list, tuple)):
            raise InvalidInput(
                f"a loop goes over a list, not over {values!r}", where=step.loop.where
            )
        return [replace(step.items[0], value=value) for value in values]

    def _item(self, step: PlannedStep, item: Item, number: int) -> StepResult:
        variables = self._variables
        if step.looped:
            variables = {**variables, "item": item.value}
        try:
            if item.call is None or not holds(item.when, variables):
                return self._skip(step, item.value, "its condition is false")
            call = settled_call(item.call, variables)
            if step.title == item.call.summary():
                step = replace(step, title=call.summary())
            if item.approval is not None and not self._shared.check:
                self._approve(self._subject(step, item.value, number), item.approval, variables)
        except SessionopsError as error:
            return self._cannot(step, item.value, error)
        undo = self._undo(step, item, call, variables)
        subject = self._subject(step, item.value, number)
        job = Job(subject, call, partial(self._once, step, number), undo)
        result = attempt(job, self._shared)
        if result.failed or item.verify is None or self._shared.check:
            return result
        self._remember(step, result)
        return self._verified(step, item, result, variables, number)

    def _verified(
        self,
        step: PlannedStep,
        item: Item,
        result: StepResult,
        variables: Mapping[str, Any],
        number: int,
    ) -> StepResult:
        if item.verify is None:
            return result
        verdict = self._verify(replace(step, phase="verify"), item.verify, variables, number)
        if verdict.ok:
            return result
        return replace(
            result,
            ok=False,
            error=verdict.error,
            hint=verdict.hint,
            unreachable=verdict.unreachable,
        )

    def _verify(
        self, step: PlannedStep, verify: Item, variables: Mapping[str, Any], number: int
    ) -> StepResult:
        try:
            if verify.call is None or not holds(verify.when, variables):
                return StepResult(skipped=True)
            call = settled_call(verify.call, variables)
        except InvalidInput as error:
            return self._cannot(step, None, error)
        subject = self._subject(step, number=number)
        return attempt(Job(subject, call, partial(self._once, step, number)), self._shared)

    def _subject(self, step: PlannedStep, value: Any = None, number: int = 0) -> Subject:
        return Subject(step, self._prefix + step.id, self.name, value, number)

    def _undo(self, step: PlannedStep, item: Item, call: Call, variables: Mapping[str, Any]) -> Any:
        """What takes this call back, as a function of its outcome."""

        def found(outcome: Outcome | None) -> list[Reversal]:
            if step.phase != "step" or self._shared.check:
                return []
            if outcome is not None:
                self._remember(step, StepResult(changed=outcome.changed, outputs=outcome.outputs))
            change = Reversal(self.name, step, self._prefix + step.id)
            return reversals(change, item, call, variables, outcome)

        return found

    def _once(self, step: PlannedStep, number: int, call: Call) -> Outcome:
        left = self._shared.deadline - time.monotonic()
        if left <= 0:
            raise StepFailed(
                "the run has taken longer than it may",
                hint=f"timeout: {self._loaded.runbook.timeout} in the runbook",
            )
        if call.kind == "runbook":
            return self._nested(step, number, call)
        deadline = time.monotonic() + min(left, call.timeout or math.inf)
        return self._caller.perform(call, self._loaded.catalogue, self._prefix + step.id, deadline)

    def _nested(self, step: PlannedStep, number: int, call: Call) -> Outcome:
        if call.nested is None:
            raise StepFailed(f"there is no runbook {call.what!r}", where=call.where)
        secrets = self._caller.scope.secrets
        variables, steps = plan_nested(
            call.nested, self.plan.target, call.arguments, secrets, self.plan.peers
        )
        turn = f"[{number}]" if step.looped else ""
        around = Around(variables, f"{self._prefix}{step.id}{turn}.")
        below = HostRun(self.plan, call.nested, self._caller, self._shared, around=around)
        changed = 0
        for inner in steps:
            result = below.perform(inner)
            changed += result.changed
            if result.unreachable:
                raise HostLost(f"{inner.id}: {result.error}", hint=result.hint)
            if result.failed and not inner.ignore_errors:
                raise StepFailed(f"{inner.id}: {result.error}", hint=result.hint)
        return Outcome(changed=changed > 0, message=f"{changed} of {len(steps)} steps changed")

    def _approve(self, subject: Subject, consent: Consent, variables: Mapping[str, Any]) -> None:
        text, run_id = str(settle(consent.prompt, variables)), self._caller.scope.run_id
        wait, by = consent.timeout, consent.by
        question = Question(
            run_id, subject.id, text, "approval", wait, by, consent.allow_yes, host=self.name
        )
        answer = self._shared.question(question)
        if not answer.yes:
            raise StepFailed(f"{answer.by} did not approve", where=subject.step.where)
        tell(self._shared, subject, "approved", message=f"by {answer.by}")

    def _cannot(self, step: PlannedStep, value: Any, error: SessionopsError) -> StepResult:
        """A value that cannot be had: in check mode because the step that gives it was not run."""
        if self._shared.check and isinstance(error, InvalidInput):
            return self._skip(step, value, f"only the run can tell: {error.message}")
        line = error_line(error, self.name)
        state: StepState = "ignored" if step.ignore_errors else "failed"
        tell(self._shared, self._subject(step, value), state, error=line, hint=error.hint)
        return StepResult(ok=False, error=line, hint=error.hint)

    def _skip(self, step: PlannedStep, value: Any, why: str) -> StepResult:
        tell(self._shared, self._subject(step, value), "skipped", message=why)
        return StepResult(skipped=True)

    def _remember(self, step: PlannedStep, result: StepResult) -> None:
        self._steps[step.id] = result
        if step.register:
            self._variables[step.register] = result
