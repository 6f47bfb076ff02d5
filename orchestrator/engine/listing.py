"""The whole plan: its hash, its JSON, and its rows for people. Shows no secrets.

Knows planned data, not how it came about or how it is carried out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.engine.expressions import Later
from orchestrator.engine.planned import short
from orchestrator.redact import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.engine.load import Loaded
    from orchestrator.engine.planned import HostPlan, Item, PlannedStep
    from orchestrator.redact import SecretRegistry


@dataclass(frozen=True)
class PlanRow:
    """One line of a plan for people, without secrets.

    Args:
        host, phase, id, title, guide: of the step.
        kind: of the call; empty when the step is skipped.
        action: the call in one line; empty when the step is skipped.
        note: ``skipped: ...``, ``if ...`` or ``for each of ...``; or empty.
    """

    host: str
    phase: str
    id: str
    title: str
    kind: str
    action: str
    note: str
    guide: str


@dataclass(frozen=True)
class Plan:
    """A runbook for certain hosts, parameters and settings.

    Args:
        loaded: the runbook.
        params: the parameters' values.
        hosts: what is planned for each host, in the inventory's order.
        batches: names of the hosts that go together, in order.
        missing: hosts that do not answer and that the run goes without, with why.
        secrets: the values to mask wherever the plan is shown.
        sources: files of this machine that the steps read, such as templates, with their sha256.
    """

    loaded: Loaded
    params: dict[str, Any]
    hosts: tuple[HostPlan, ...]
    batches: tuple[tuple[str, ...], ...]
    secrets: SecretRegistry = field(compare=False, repr=False)
    sources: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def hash(self) -> str:
        """sha256 over all that is planned and all that its templates can see.

        Secrets are in it through the digest only, which shows nothing of them.
        """
        seen = [host.variables for host in self.hosts]
        text = json.dumps([self._raw(), seen], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """As JSON, with its hash and without secrets."""
        shown: dict[str, Any] = self.secrets.mask_data(self._raw())
        shown["params"] = self.shown_params()
        if self.missing:
            shown["missing"] = self.secrets.mask_data(self.missing)
        return {"hash": self.hash, **shown}

    def shown_params(self) -> dict[str, Any]:
        """The parameters without secrets."""
        declared = self.loaded.runbook.params
        masked = self.secrets.mask_data(self.params)
        return {
            name: MASK if declared[name].secret and value is not None else value
            for name, value in masked.items()
        }

    def rows(self) -> list[PlanRow]:
        """One row for each planned call, host by host, for people."""
        return [
            row
            for host in self.hosts
            for step in host.all_steps()
            if step.is_done_on(host.facts.name)
            for row in self._rows_of(host.facts.name, step)
        ]

    def groups(self) -> list[tuple[list[str], list[PlanRow]]]:
        """Hosts for which the very same is planned, and the rows of it, in the plan's order.

        Compared is the whole call, not the shortened line that a row shows of it.
        """
        names: dict[str, list[str]] = {}
        rows: dict[str, list[PlanRow]] = {}
        for host in self.hosts:
            steps = list(host.all_steps())
            same = json.dumps([step.as_dict() for step in steps], sort_keys=True, default=str)
            names.setdefault(same, []).append(host.facts.name)
            if same not in rows:
                rows[same] = [row for step in steps for row in self._rows_of(host.facts.name, step)]
        return [(names[same], rows[same]) for same in names]

    def _rows_of(self, host: str, step: PlannedStep) -> Iterator[PlanRow]:
        for item in step.items:
            action = item.call.summary() if item.call else ""
            title = step.title if item.value is None else f"{step.title} ({short(item.value)})"
            yield PlanRow(
                host=host,
                phase=step.phase,
                id=step.id,
                title=self.secrets.mask(title),
                kind=item.call.kind if item.call else "",
                action=self.secrets.mask(action),
                note=_note(step, item),
                guide=step.guide or "",
            )
            for below in item.call.steps if item.call else ():
                if not below.is_done_on(host):
                    continue
                yield from self._rows_of(host, below)

    def _raw(self) -> dict[str, Any]:
        runbook = self.loaded.runbook
        return {
            "runbook": runbook.name,
            "title": runbook.title,
            "lock": runbook.lock,
            "params": self.params,
            "batches": [list(batch) for batch in self.batches],
            "sources": self.sources,
            "hosts": [
                {
                    "name": host.facts.name,
                    "steps": [
                        step.as_dict()
                        for step in host.all_steps()
                        if step.is_done_on(host.facts.name)
                    ],
                }
                for host in self.hosts
            ],
        }


def _note(step: PlannedStep, item: Item) -> str:
    notes = []
    if step.loop is not None:
        notes.append(f"for each of {step.loop}")
    if item.when is False:
        notes.append("skipped: its condition is false")
    elif isinstance(item.when, Later):
        notes.append(f"if {item.when}")
    return "; ".join(notes)
