"""What an earlier process of a run has finished, from its journal: results, and what undoes them.

Knows entries and plans as data; reads no folder and runs nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.engine.planned import Call, PlannedStep
from orchestrator.engine.results import StepResult
from orchestrator.engine.undo import Reversal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.engine.load import Loaded
    from schemas.run import JournalEntry

_DONE = {"ok", "changed", "skipped", "ignored"}
_FORWARD = {"precondition", "step"}
_KINDS = ("task", "run", "runbook", "manual")
_ITEM = re.compile(r"\[\d+\]")

Key = tuple[str, str, int]


@dataclass
class Past:
    """What is over of a run: nothing of it is repeated.

    Args:
        results: of each finished item, by host, full step id and number of the item.
        verified: items whose verification has passed.
        changes: what takes back each change that stands, oldest first.
        begun: items that were started and not finished, oldest first; they are done again.
    """

    results: dict[Key, StepResult] = field(default_factory=dict)
    verified: set[Key] = field(default_factory=set)
    changes: list[Reversal] = field(default_factory=list)
    begun: list[Key] = field(default_factory=list)

    def result(self, host: str, step: str, number: int, phase: str = "step") -> StepResult | None:
        """How an item ended; None when it did not, or was undone since.

        Args:
            host: the host's name.
            step: the step's full id.
            number: the loop's item, from 0.
            phase: of the step; handlers belong to each end of a run anew.
        """
        return self.results.get((host, step, number)) if phase in _FORWARD else None

    def is_verified(self, host: str, step: str, number: int) -> bool:
        """Whether the item's ``verify:`` has passed."""
        return (host, step, number) in self.verified

    def finished(self, host: str) -> set[str]:
        """Ids of the steps of a host of which at least one item is over."""
        return {step for name, step, _ in self.results if name == host}


def past_of(entries: Sequence[JournalEntry], loaded: Loaded | None = None) -> Past:
    """What a journal says.

    Args:
        entries: of the run, in order.
        loaded: its runbook, for an undo that is a runbook itself.
    """
    past = Past()
    for entry in entries:
        key = (entry.host, entry.step, entry.number)
        if entry.phase == "undo" and entry.state in _DONE:
            _undone(past, entry)
        elif entry.phase == "verify":
            _verified(past, key, entry)
        elif entry.phase in _FORWARD:
            _went_on(past, key, entry, loaded)
    return past


def _went_on(past: Past, key: Key, entry: JournalEntry, loaded: Loaded | None) -> None:
    if key in past.begun:
        past.begun.remove(key)
    if entry.state == "started":
        past.begun.append(key)
    elif entry.state in _DONE:
        past.results[key] = StepResult(
            ok=entry.state != "ignored",
            changed=entry.state == "changed",
            skipped=entry.state == "skipped",
            message=entry.message,
            outputs=entry.outputs,
            error=entry.error,
            hint=entry.hint,
        )
    past.changes += [_reversal(entry, undo, loaded) for undo in entry.undo]


def _verified(past: Past, key: Key, entry: JournalEntry) -> None:
    if entry.state in _DONE:
        past.verified.add(key)
    elif entry.state == "failed":
        # Verifying once more what is not good would fail for ever: the step itself is done again.
        past.results.pop(key, None)


def _undone(past: Past, entry: JournalEntry) -> None:
    """Forget what was put back, with the steps around it: all of it is to be done again."""
    for number in range(len(past.changes) - 1, -1, -1):
        change = past.changes[number]
        ours = (change.host, change.id) == (entry.host, entry.step) and change.call is not None
        if ours and (not entry.undo or _same(change.as_dict(), entry.undo[0])):
            del past.changes[number]
            break
    inside = _ITEM.sub("", entry.step).split(".")
    around = {".".join(inside[:length]) for length in range(1, len(inside) + 1)}
    for key in [*past.results]:
        if key[0] == entry.host and _ITEM.sub("", key[1]) in around:
            del past.results[key]
            past.verified.discard(key)


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True, default=str) == json.dumps(
        other, sort_keys=True, default=str
    )


def _reversal(entry: JournalEntry, undo: dict[str, Any], loaded: Loaded | None) -> Reversal:
    step = PlannedStep("step", entry.step.rpartition(".")[2], entry.title, "", ())
    call = _call(undo, loaded)
    reason = "" if call else str(undo.get("none", ""))
    return Reversal(entry.host, step, entry.step, call, reason)


def _call(undo: Mapping[str, Any], loaded: Loaded | None) -> Call | None:
    from schemas.runbook import Retry

    kind: Any = next((one for one in _KINDS if one in undo), None)
    if kind is None:
        return None
    what = str(undo[kind])
    retry = undo.get("retry")
    return Call(
        kind=kind,
        what=what,
        where="",
        arguments=dict(undo.get("with", {})),
        env=dict(undo.get("env", {})),
        sudo=bool(undo.get("sudo", False)),
        timeout=undo.get("timeout"),
        retry=Retry(**retry) if retry else None,
        nested=loaded.nested.get(what) if loaded and kind == "runbook" else None,
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any], past: Past) -> list[str]:
    """What a plan asks for now, of what is still to be done, that it did not ask for before.

    Args:
        before: the plan that was made first, as ``Plan.to_dict`` gives it.
        now: the plan of the same run, made again.
        past: what is over; steps that are do not count.

    Returns:
        A line for each difference.
    """
    old, new = _steps(before), _steps(now)
    found = [f"{host}: the run did not have this host" for host in new if host not in old]
    found += [f"{host}: this host is not in the plan any more" for host in old if host not in new]
    for host in (host for host in old if host in new):
        over = past.finished(host)
        left_before = {key: step for key, step in old[host] if key[1] not in over}
        left_now = {key: step for key, step in new[host] if key[1] not in over}
        found += list(_changed(host, left_before, left_now))
    return found


def _steps(plan: Mapping[str, Any]) -> dict[str, list[tuple[tuple[str, str], Any]]]:
    # Both through JSON: what was read from a file has no tuples and no numbers as keys.
    plain = json.loads(json.dumps(plan["hosts"], default=str))
    return {
        host["name"]: [((step["phase"], step["id"]), step) for step in host["steps"]]
        for host in plain
    }


def _changed(host: str, before: dict[Any, Any], now: dict[Any, Any]) -> Iterator[str]:
    for key, step in now.items():
        if key not in before:
            yield f"{host}: {key[1]} is new"
        elif before[key] != step:
            names = [one for one in before[key] | step if before[key].get(one) != step.get(one)]
            yield f"{host}: {key[1]} differs in {', '.join(sorted(names))}"
    yield from (f"{host}: {key[1]} is gone" for key in before if key not in now)
    if [*before] != [*now] and {*before} == {*now}:
        yield f"{host}: the steps are in another order"
