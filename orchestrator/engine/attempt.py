"""Trying a call on a host until it works or may not be tried again, with a journal line each time.

Knows tries and what they leave behind, not the steps around them.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.engine.calls import exit_code_of, outputs_of
from orchestrator.engine.fanout import FORKS
from orchestrator.engine.journal import timestamp
from orchestrator.engine.once import Once
from orchestrator.engine.results import StepResult
from orchestrator.engine.resume import Past
from orchestrator.tasks import halt
from orchestrator.tasks.halt import StoppedNow
from orchestrator.tasks.outcome import PartlyDone
from schemas.errors import HostLost, InvalidInput, SessionopsError
from schemas.run import JournalEntry
from schemas.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.engine.ask import Answer, Ask, Question
    from orchestrator.engine.planned import Call, PlannedStep
    from orchestrator.engine.report import Reporter
    from orchestrator.engine.stop import StopRequest
    from orchestrator.engine.undo import Reversal
    from orchestrator.tasks.outcome import Outcome
    from schemas.run import StepState

_NEVER_CHANGE = {"precondition", "verify"}
_FORWARD = {"precondition", "step", "verify"}


@dataclass
class Shared:
    """What the hosts of one run have in common.

    Args:
        report: where everything is told.
        stop: whether somebody asked the run to end.
        ask: puts a question to a person.
        check: nothing is changed.
        forks: how many hosts at a time.
        once: results of the steps that one host does for all.
        enough: set when more hosts have failed than may; the others stop before their next step.
        deadline: when the run must be over, on ``time.monotonic()``.
        changes: what takes back each change, oldest first.
        facts: ``run`` in expressions.
        past: what an earlier process of this run has finished.
    """

    report: Reporter
    stop: StopRequest
    ask: Ask
    check: bool
    forks: int = FORKS
    once: Once = field(default_factory=Once)
    enough: threading.Event = field(default_factory=threading.Event)
    deadline: float = math.inf
    changes: list[Reversal] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    past: Past = field(default_factory=Past)
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def question(self, question: Question) -> Answer:
        """Put a question to a person; the run is ``waiting`` meanwhile.

        One question at a time, also when several hosts have one.
        """
        text = self.report.folder.registry.mask(question.text)
        left = max(0.0, self.deadline - time.monotonic())
        timeout = min(left, math.inf if question.timeout is None else question.timeout)
        question = replace(
            question,
            text=text,
            timeout=timeout if math.isfinite(timeout) else None,
            asked_at=timestamp(),
        )
        while not self._asking.acquire(timeout=halt.LOOK):
            halt.raise_if_halted()
        try:
            self.report.record.waiting_for = {
                "step": question.step,
                "kind": question.kind,
                "text": text,
                "by": list(question.by),
                "asked_at": question.asked_at,
                "host": question.host,
            }
            self.report.waiting(text)
            try:
                return self.ask(question)
            finally:
                self.report.record.waiting_for = {}
                self.report.answered(text)
        finally:
            self._asking.release()


@dataclass(frozen=True)
class Subject:
    """What a journal entry is about.

    Args:
        step: the step.
        id: its full id: inside a nested runbook with those of the steps around it.
        host: the host's name.
        value: the loop's item.
        number: the how-manieth item that is, from 0.
    """

    step: PlannedStep
    id: str
    host: str
    value: Any = None
    number: int = 0


def _nothing(_outcome: Outcome | None) -> list[Reversal]:
    return []


@dataclass(frozen=True)
class Job:
    """A call that is about to be tried.

    Args:
        subject: what it belongs to.
        call: what to do, every value settled.
        once: does it once.
        undo: what takes the call back, from its outcome, or from None when it failed.
        reverses: what it takes back itself.
    """

    subject: Subject
    call: Call
    once: Callable[[Call], Outcome]
    undo: Callable[[Outcome | None], list[Reversal]] = _nothing
    reverses: Reversal | None = None


def attempt(job: Job, shared: Shared) -> StepResult:
    """Try a call as often as its retry allows.

    Raises:
        StoppedNow: somebody asked to stop at once.
    """
    retry = job.call.retry
    limit = retry.limit if retry else 1
    delay = parse_duration(retry.delay) if retry else 0.0
    number = 1
    while True:
        tell(shared, job.subject, "started", attempt=number)
        began = time.monotonic()
        told: dict[str, Any] = {"attempt": number}
        try:
            outcome = job.once(job.call)
            undo = job.undo(outcome)
        except StoppedNow:
            tell(shared, job.subject, "failed", error="stopped at once", **told)
            raise
        except SessionopsError as error:
            told |= _told_of(error, job.subject.host, began)
            if number >= limit or not _may_go_on(job, error, shared):
                return _failed(job, shared, error, told)
            tell(shared, job.subject, "retrying", **told)
            _wait(job, shared, delay)
            delay *= retry.backoff if retry else 1.0
            number += 1
        else:
            told["duration_seconds"] = _seconds_since(began)
            return _done(job, shared, outcome, undo, told)


def tell(shared: Shared, subject: Subject, state: StepState, **more: Any) -> None:
    """Write a journal entry."""
    shared.report.entry(
        JournalEntry(
            at="",
            phase=subject.step.phase,
            step=subject.id,
            title=subject.step.title,
            host=subject.host,
            state=state,
            item=subject.value,
            number=subject.number,
            **more,
        )
    )


def error_line(error: SessionopsError, host: str) -> str:
    """An error in one line; the host is left out, the line stands beside it anyway."""
    return error.message if error.where in {"", host} else f"{error.where}: {error.message}"


def _done(
    job: Job, shared: Shared, outcome: Outcome, undo: list[Reversal], told: dict[str, Any]
) -> StepResult:
    changed = outcome.changed and job.subject.step.phase not in _NEVER_CHANGE
    shared.changes.extend(undo)
    tell(
        shared,
        job.subject,
        "changed" if changed else "ok",
        message=outcome.message,
        diff=outcome.diff,
        outputs=outcome.outputs,
        undo=_written(job, undo),
        **told,
    )
    return StepResult(changed=changed, message=outcome.message, outputs=outcome.outputs)


def _written(job: Job, undo: list[Reversal]) -> list[dict[str, object]]:
    """As the journal keeps it; what was taken back is named, so that nobody does it again."""
    return [one.as_dict() for one in ([job.reverses] if job.reverses else undo)]


def _failed(job: Job, shared: Shared, error: SessionopsError, told: dict[str, Any]) -> StepResult:
    undo: list[Reversal] = []
    try:
        undo = job.undo(error.outcome if isinstance(error, PartlyDone) else None)
    except InvalidInput as fault:
        told["error"] += f"; and its undo cannot be rendered: {fault.message}"
    shared.changes.extend(undo)
    told["undo"] = _written(job, undo)
    ignored = job.subject.step.ignore_errors and not isinstance(error, HostLost)
    tell(shared, job.subject, "ignored" if ignored else "failed", **told)
    return StepResult(
        ok=False,
        error=told["error"],
        hint=error.hint,
        outputs=outputs_of(error),
        unreachable=isinstance(error, HostLost),
    )


def _may_go_on(job: Job, error: SessionopsError, shared: Shared) -> bool:
    if isinstance(error, HostLost):
        return False
    if time.monotonic() >= shared.deadline or (_is_forward(job) and shared.stop.asked):
        return False
    codes = job.call.retry.on_exit_codes if job.call.retry else []
    return not codes or exit_code_of(error) in codes


def _wait(job: Job, shared: Shared, seconds: float) -> None:
    if _is_forward(job):
        shared.stop.wait(seconds)
    else:
        halt.sleep(seconds)


def _is_forward(job: Job) -> bool:
    """Whether a request to stop is about this; what cleans up after it needs its time."""
    return job.subject.step.phase in _FORWARD


def _told_of(error: SessionopsError, host: str, began: float) -> dict[str, Any]:
    return {
        "duration_seconds": _seconds_since(began),
        "error": error_line(error, host),
        "hint": error.hint,
        "outputs": outputs_of(error),
    }


def _seconds_since(began: float) -> float:
    return round(time.monotonic() - began, 4)
