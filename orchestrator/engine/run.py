"""One run of one plan: preconditions, steps, then what success or failure calls for.

Knows the order of things and how a run ends. How a step is done, told, kept or undone stands in
the modules beside it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.engine.calls import Caller, scope_of
from orchestrator.engine.step import Cancelled, HostRun
from orchestrator.engine.stop import StoppedNow
from orchestrator.engine.undo import Undone, replay
from schemas.run import EXIT_CODES, step_label
from schemas.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.engine.attempt import Shared
    from orchestrator.engine.connect import Connections
    from orchestrator.engine.listing import Plan
    from orchestrator.engine.planned import HostPlan, PlannedStep
    from orchestrator.engine.results import StepResult
    from orchestrator.engine.undo import Reversal
    from schemas.run import JournalEntry, RunRecord, RunState

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
        self._hosts: dict[str, HostRun] = {}
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

    def _preconditions(self) -> None:
        for host in self.plan.hosts:
            self._steps(host, host.preconditions)
            if self.failure is not None:
                return

    def _batches(self) -> None:
        """Host by host, until more have failed than may; the others are undone one by one."""
        planned = {host.facts.name: host for host in self.plan.hosts}
        allowed = len(planned) * self.plan.loaded.runbook.max_fail_percentage / 100
        failed: list[Failure] = []
        for name in (name for batch in self.plan.batches for name in batch):
            self.failure = None
            self._steps(planned[name], planned[name].steps)
            if self.failure is not None:
                failed.append(self.failure)
                if len(failed) > allowed:
                    return
                self._roll_back(name)
        self.failure = failed[0] if failed else None
        self._tolerated = bool(failed)

    def _steps(self, host: HostPlan, steps: Sequence[PlannedStep]) -> None:
        for step in steps:
            result = self._host(host).perform(step)
            if result.failed and not step.ignore_errors:
                self._blame(step, host.facts.name, result)
                return

    def _after_failure(self, ending: RunState) -> RunState:
        """The rollback, then the runbook's own steps; a handler never turns a failure green."""
        self._shared.deadline = math.inf
        if not self._tolerated:
            undone = self._roll_back()
            if undone.done and not undone.problems() and ending == "failed":
                ending = "rolled_back"
        self._shared.facts["state"] = ending
        return self._handlers("on_failure", ending)

    def _roll_back(self, host: str | None = None) -> Undone:
        """Undo what was changed, on one host or on all."""
        if self.plan.loaded.runbook.on_failure.rollback != "auto" or self._shared.check:
            return Undone()
        changes = [one for one in self._shared.changes if host in (None, one.host)]
        self._shared.changes = [one for one in self._shared.changes if one not in changes]
        if any(change.call for change in changes):
            self._shared.report.note("rolling back what this run changed, newest first")
        undone = replay(changes, self._undo)
        if undone.problems():
            self._add(f"the rollback is not complete: {undone.problems()}")
        return undone

    def _undo(self, reversal: Reversal) -> StepResult:
        host = next(one for one in self.plan.hosts if one.facts.name == reversal.host)
        return self._host(host).undo(reversal)

    def _handlers(self, phase: str, state: RunState) -> RunState:
        """Run handlers on every host that took part, all of them whatever happens.

        Returns the state that the run is in afterwards: one that fails spoils it.
        """
        if self._shared.check:
            return state
        self._shared.deadline = math.inf
        self._shared.facts["changed"] = self._shared.report.record.changed
        for host in self.plan.hosts:
            for step in getattr(host, phase) if host.facts.name in self._hosts else ():
                result = self._host(host).perform(step)
                if result.failed and not step.ignore_errors:
                    if self.failure is None:
                        self._blame(step, host.facts.name, result)
                    else:
                        label = step_label(step.phase, step.id, step.title)
                        self._add(f"{phase} failed too: {label}: {result.error}")
                    state = "failed" if state != "cancelled" else state
        return state

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

    def _blame(self, step: PlannedStep, host: str, result: StepResult) -> None:
        label = step_label(step.phase, step.id, step.title)
        self._fail(Failure(step.id, host, result.error, result.hint, label))

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        # A handler may put the error into a line of sh, which everybody can see in ps.
        error = self._shared.report.folder.registry.mask(failure.error)
        self._shared.facts |= {"failed_step": failure.step, "error": error}

    def _add(self, text: str) -> None:
        first = self.failure or Failure("", "", "")
        error = f"{first.error}; {text}" if first.error else text
        self._fail(replace(first, error=error))

    def _left(self) -> str:
        count = self._shared.report.record.changed
        return f"; nothing was undone of the {count} steps that changed something" if count else ""
