"""What takes back what a run has changed, and replaying it: newest first, all of it.

Knows calls and their order, not how a call is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.engine.planned import Call, holds, settled_call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.engine.planned import Item, PlannedStep
    from orchestrator.engine.results import StepResult
    from orchestrator.tasks.outcome import Outcome


@dataclass(frozen=True)
class Reversal:
    """What takes back one change.

    Args:
        host: the host's name.
        step: the step that made the change.
        id: that step's full id; inside a nested runbook with those around it.
        call: what to do; None when nothing takes it back.
        reason: without a call, why the runbook says that none is needed; empty: it does not say.
    """

    host: str
    step: PlannedStep
    id: str
    call: Call | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, object]:
        """As the journal keeps it."""
        return self.call.as_dict() if self.call else {"none": self.reason}


@dataclass
class Undone:
    """What became of a rollback.

    Args:
        done: reversals that were carried out.
        failed: steps whose reversal failed, with why.
        stuck: steps that changed something which nothing takes back.
    """

    done: int = 0
    failed: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything is as it was, or as the runbook says that it may stay."""
        return not self.failed and not self.stuck

    def problems(self) -> str:
        """What is not as it was, in one line; empty when nothing is."""
        lines = [f"could not be undone: {text}" for text in self.failed]
        if self.stuck:
            lines.append(f"nothing takes back what these changed: {', '.join(self.stuck)}")
        return "; ".join(lines)


def reversals(
    change: Reversal,
    item: Item,
    call: Call,
    variables: Mapping[str, Any],
    outcome: Outcome | None,
) -> list[Reversal]:
    """What takes a call back; the runbook's word goes before the task's.

    Args:
        change: host and step.
        item: as planned.
        call: as it was done.
        variables: for the runbook's ``undo:``.
        outcome: what the call changed; None when it failed without saying. Then the runbook's
            ``undo:`` is used as well: nobody knows how far the call came.

    Raises:
        InvalidInput: the runbook's ``undo:`` uses an undefined name.
    """
    if outcome is not None and not outcome.changed:
        return []
    if item.undo is not None and item.undo.call is not None:
        wanted = holds(item.undo.when, variables)
        return [replace(change, call=settled_call(item.undo.call, variables))] if wanted else []
    if outcome is None or call.kind == "runbook":  # the steps of a runbook have told themselves
        return []
    if item.no_undo:
        return [replace(change, reason=item.no_undo)]
    inverses = [
        Call("task", inverse.task, call.where, dict(inverse.arguments), sudo=call.sudo)
        for inverse in outcome.undo
    ]
    return [replace(change, call=inverse) for inverse in inverses] or [change]


def replay(reversals: Sequence[Reversal], undo: Callable[[Reversal], StepResult]) -> Undone:
    """Carry out reversals, the newest first.

    Args:
        reversals: oldest first.
        undo: carries out one that has a call.
    """
    undone = Undone()
    for reversal in reversed(reversals):
        if reversal.call is None:
            if not reversal.reason and reversal.id not in undone.stuck:
                undone.stuck.append(reversal.id)
            continue
        result = undo(reversal)
        if result.failed:
            undone.failed.append(f"{reversal.id}: {result.error}")
        else:
            undone.done += 1
    return undone
