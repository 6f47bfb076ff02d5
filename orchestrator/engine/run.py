"""One run of one plan: preconditions, steps, then what success or failure calls for.

Knows the order of things and how a run ends. How a step is done, told, kept or undone stands in
the modules beside it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.engine.calls import Caller, scope_of
from orchestrator.engine.fanout import on_each
from orchestrator.engine.hosts import Hosts
from orchestrator.engine.results import StepResult
from orchestrator.engine.step import Cancelled, HostRun
from orchestrator.engine.undo import Undone, replay
from orchestrator.tasks.halt import StoppedNow
from schemas.run import EXIT_CODES, step_label
from schemas.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.engine.attempt import Shared
    from orchestrator.engine.connect import Connections
    from orchestrator.engine.listing import Plan
    from orchestrator.engine.planned import HostPlan, PlannedStep
    from orchestrator.engine.undo import Reversal
    from schemas.run import HostOutcome, JournalEntry, RunRecord, RunState

_HALF_WAY = "what it changes is half done: run it again to heal it"

_UNDO_AGAIN = "what was not undone can be undone again: invoke runbook.undo"


@dataclass(frozen=True)
class Failure:
    """Why a run did not succeed.

    Args:
        step: the step's id; empty when no step is to blame.
        host: where.
        error: in one line.
        hint: what to do next.
        label: what a person calls the step.
    """

    step: str
    host: str
    error: str
    hint: str = ""
    label: str = ""

    def __str__(self) -> str:
        at = f"{self.label or self.step} on {self.host}: " if self.step else ""
        return at + self.error


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Args:
        record: what ``run.json`` says.
        entries: the journal.
        hint: what to do next, when it did not succeed.
        notes: lines that no step accounts for, such as a lock taken over.
    """

    record: RunRecord
    entries: list[JournalEntry]
    hint: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def state(self) -> RunState:
        """The run's state."""
        return self.record.state

    @property
    def exit_code(self) -> int:
        """The exit code of the command that ran it."""
        return EXIT_CODES[self.record.state]


class Execution:
    """Carries out a plan.

    Args:
        plan: what to do.
        connections: the hosts.
        shared: what the hosts have in common.
        run_id: the run.
    """

    def __init__(self, plan: Plan, connections: Connections, shared: Shared, run_id: str) -> None:
        self.plan = plan
        self.failure: Failure | None = None
        self._connections = connections
        self._shared = shared
        self._run_id = run_id
        self._planned = {host.facts.name: host for host in plan.hosts}
        self._hosts: dict[str, HostRun] = {}
        self._taking_part = Hosts(
            self._planned, plan.missing, plan.loaded.runbook.max_fail_percentage
        )
        self._failures: dict[str, Failure] = {}
        self._tolerated = False

    def execute(self) -> RunState:
        """Run everything. ``failure`` tells why, when it did not succeed."""
        runbook = self.plan.loaded.runbook
        self._shared.deadline = time.monotonic() + parse_duration(runbook.timeout)
        self._shared.facts |= {
            "id": self._run_id,
            "runbook": runbook.name,
            "state": "running",
            "changed": 0,
            "failed_step": "",
            "error": "",
        }
        try:
            state = self._body()
            self._shared.facts["state"] = state
            return self._handlers("on_exit", state)
        except StoppedNow as stopped:
            error = f"stopped at once by a second {stopped}{self._left()}"
            self._fail(Failure("", "", error, _HALF_WAY if self._left() else ""))
            return "cancelled"

    def take_back(self) -> RunState:
        """Undo everything that the run changed and that still stands, newest first."""
        self._shared.facts |= {"id": self._run_id, "runbook": self.plan.loaded.runbook.name}
        changes, self._shared.changes = self._shared.changes, []
        try:
            undone = replay(changes, self._undo)
        except StoppedNow as stopped:
            self._fail(Failure("", "", f"stopped at once by a second {stopped}", _UNDO_AGAIN))
            return "cancelled"
        if undone.complete:
            return "rolled_back"
        self._fail(Failure("", "", f"not everything is undone: {undone.problems()}", _UNDO_AGAIN))
        return "failed"

    def _body(self) -> RunState:
        changing = False
        try:
            self._preconditions()
            if self.failure is None:
                changing = True
                self._batches()
        except Cancelled:
            kept = self.plan.loaded.runbook.on_failure.rollback == "never"
            hint = _HALF_WAY if kept and self._left() else ""
            self._fail(Failure("", "", f"asked to stop by {self._shared.stop.by}", hint))
        if self.failure is None:
            return self._handlers("on_success", "succeeded")
        ending: RunState = "cancelled" if self._shared.stop.asked else "failed"
        return self._after_failure(ending) if changing else ending

    def outcomes(self) -> dict[str, HostOutcome]:
        """How each host came out of it."""
        changed = {
            entry.host
            for entry in self._shared.report.entries
            if entry.state == "changed" and entry.phase == "step"
        }
        return self._taking_part.outcomes(changed)

    def _preconditions(self) -> None:
        self._together(list(self._planned), lambda host: host.preconditions)
        self._judge()

    def _batches(self) -> None:
        """Batch by batch, until more hosts have failed than may; others are undone one by one."""
        problems: list[str] = []
        for batch in self.plan.batches:
            alive = [name for name in batch if self._taking_part.goes_on(name)]
            failed = self._together(alive, lambda host: host.steps)
            self._judge()
            if self.failure is not None:
                return
            problems += filter(None, [self._roll_back(failed).problems()])
        self._tolerated = self._taking_part.any_failed
        if self._tolerated:
            self._fail(self._first_failure())
            self._add_problems("; ".join(problems))

    def _together(
        self, names: Sequence[str], steps: Callable[[HostPlan], Sequence[PlannedStep]]
    ) -> list[str]:
        """Do steps on hosts at the same time; gives those that failed.

        Raises:
            Cancelled: somebody asked to stop.
        """

        def work(name: str) -> Failure | Cancelled | None:
            try:
                return self._steps(self._planned[name], steps(self._planned[name]))
            except Cancelled as left:
                return left

        found = self._on_each(names, work)
        failures = {name: one for name, one in found.items() if isinstance(one, Failure)}
        self._failures |= failures
        left = any(isinstance(one, Cancelled) for one in found.values())
        if left and not self._taking_part.too_many:  # somebody asked; it was not for the failures
            raise Cancelled
        return list(failures)

    def _on_each(self, names: Sequence[str], work: Callable[[str], Any]) -> dict[str, Any]:
        return on_each(names, work, forks=self._shared.forks, halt=self._shared.stop.halt)

    def _steps(self, host: HostPlan, steps: Sequence[PlannedStep]) -> Failure | None:
        name = host.facts.name
        run = self._host(host)
        if steps is host.steps:
            self._taking_part.begin(name)
        for step in steps:
            if self._shared.enough.is_set():
                raise Cancelled
            result = run.perform(step)
            if result.unreachable or (result.failed and not step.ignore_errors):
                self._shared.once.leave(name)
                if self._taking_part.fail(name, unreachable=result.unreachable):
                    self._shared.enough.set()
                return _failure(step, name, result)
        if steps is host.steps:
            self._shared.once.leave(name)
            self._taking_part.finish(name)
        return None

    def _judge(self) -> None:
        """Whether the run may go on."""
        if self._taking_part.too_many or not self._taking_part.any_left:
            self._fail(self._first_failure())

    def _first_failure(self) -> Failure:
        """Of the first host, as the plan has them."""
        for name in (*self._planned, *self.plan.missing):
            if name in self._failures:
                return self._failures[name]
        name, why = next(iter(self.plan.missing.items()))
        return Failure("", name, f"{name} is unreachable: {why}")

    def _after_failure(self, ending: RunState) -> RunState:
        """The rollback, then the runbook's own steps; a handler never turns a failure green."""
        self._shared.deadline = math.inf
        if not self._tolerated:
            undone = self._roll_back()
            self._add_problems(undone.problems())
            if undone.done and not undone.problems() and ending == "failed":
                ending = "rolled_back"
        self._shared.facts["state"] = ending
        return self._handlers("on_failure", ending)

    def _roll_back(self, hosts: Sequence[str] | None = None) -> Undone:
        """Undo what was changed, on some hosts or on all: on each the newest first."""
        total = Undone()
        if self.plan.loaded.runbook.on_failure.rollback != "auto" or self._shared.check:
            return total
        changes = [one for one in self._shared.changes if hosts is None or one.host in hosts]
        self._shared.changes = [one for one in self._shared.changes if one not in changes]
        if any(change.call for change in changes):
            self._shared.report.note("rolling back what this run changed, newest first")
        by_host: dict[str, list[Reversal]] = {}
        for change in reversed(changes):
            by_host.setdefault(change.host, []).insert(0, change)
        found = self._on_each(list(by_host), lambda name: replay(by_host[name], self._undo))
        for name, undone in found.items():
            at = f"{name}: " if len(self._planned) > 1 else ""
            total.done += undone.done
            total.failed += [at + text for text in undone.failed]
            total.stuck += [one for one in undone.stuck if one not in total.stuck]
            self._taking_part.undone(name)
        return total

    def _undo(self, reversal: Reversal) -> StepResult:
        if self._taking_part.is_lost(reversal.host):
            return StepResult(ok=False, error="not possible, the host is unreachable")
        return self._host(self._planned[reversal.host]).undo(reversal)

    def _handlers(self, phase: str, state: RunState) -> RunState:
        """Run handlers on every host that took part, all of them whatever happens.

        Returns the state that the run is in afterwards: one that fails spoils it.
        """
        if self._shared.check:
            return state
        self._shared.deadline = math.inf
        self._shared.facts["changed"] = self._shared.report.record.changed
        names = [name for name in self._planned if name in self._hosts]
        for name in names:
            if self._taking_part.is_lost(name) and getattr(self._planned[name], phase):
                self._shared.report.note(f"{phase} is not possible on {name}: it is unreachable")
        alive = [name for name in names if not self._taking_part.is_lost(name)]
        found = self._on_each(alive, lambda name: self._handle(phase, name))
        for failure in (one for failures in found.values() for one in failures):
            if self.failure is None:
                self._fail(failure)
            else:
                self._add(f"{phase} failed too: {failure.label}: {failure.error}")
            state = "failed" if state != "cancelled" else state
        return state

    def _handle(self, phase: str, name: str) -> list[Failure]:
        failures = []
        for step in getattr(self._planned[name], phase):
            result = self._hosts[name].perform(step)
            if result.failed and not step.ignore_errors:
                failures.append(_failure(step, name, result))
            if result.unreachable:
                self._taking_part.fail(name, unreachable=True)
                break
        return failures

    def _host(self, host: HostPlan) -> HostRun:
        name = host.facts.name
        if name not in self._hosts:
            caller = Caller(
                self._connections.context(name),
                scope_of(host, self.plan.secrets, self._run_id, check=self._shared.check),
                self._shared.question,
                self._shared.report.folder.trace,
            )
            self._hosts[name] = HostRun(host, self.plan.loaded, caller, self._shared)
        return self._hosts[name]

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        # A handler may put the error into a line of sh, which everybody can see in ps.
        error = self._shared.report.folder.registry.mask(failure.error)
        self._shared.facts |= {"failed_step": failure.step, "error": error}

    def _add(self, text: str) -> None:
        first = self.failure or Failure("", "", "")
        error = f"{first.error}; {text}" if first.error else text
        self._fail(replace(first, error=error))

    def _add_problems(self, problems: str) -> None:
        if problems:
            self._add(f"the rollback is not complete: {problems}")

    def _left(self) -> str:
        count = self._shared.report.record.changed
        return f"; nothing was undone of the {count} steps that changed something" if count else ""


def _failure(step: PlannedStep, host: str, result: StepResult) -> Failure:
    label = step_label(step.phase, step.id, step.title)
    return Failure(step.id, host, result.error, result.hint, label)
