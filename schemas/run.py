"""A run and its journal: what is in a run's folder, and what every face prints of it.

Dataclasses, not pydantic: the writer is this project, and reading a history must be fast.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

RunState = Literal[
    "planned",
    "running",
    "waiting",
    "succeeded",
    "failed",
    "rolled_back",
    "cancelled",
    "interrupted",
    "unreadable",
]
ALIVE = ("planned", "running", "waiting")
"""States of a run that a process works on."""
RESUMABLE = ("interrupted", "failed", "cancelled")
"""States from which a run can go on."""
EXIT_CODES: dict[str, int] = {
    "succeeded": 0,
    "failed": 1,
    "rolled_back": 5,
    "cancelled": 130,
    "interrupted": 130,
    "unreadable": 1,
}

HostOutcome = Literal["ok", "changed", "failed", "unreachable", "skipped", "cancelled"]
"""How a host came out of a run. ``skipped``: it was never begun; ``cancelled``: it was stopped, or
what it changed was undone because others had failed."""

Phase = Literal["precondition", "step", "verify", "undo", "on_failure", "on_success", "on_exit"]
StepState = Literal[
    "started", "ok", "changed", "skipped", "failed", "ignored", "retrying", "approved"
]

Ask = Literal["cancel", "stop_now", "approve", "refuse", "done"]
"""What another process may ask of a run, through the control file in its folder."""


def step_label(phase: str, step: str, title: str) -> str:
    """What a person calls a step: its id, or its title when the id is made up from its place."""
    made_up = step.startswith(f"{phase}_") and step.removeprefix(f"{phase}_").isdigit()
    return title if made_up and title else step


@dataclass(slots=True)
class RunRecord:
    """``run.json``: who started what, when, and how it ended. Parameters are stored redacted.

    ``process_started`` is the start time of the process in seconds since the epoch; with the PID it
    tells a live run from a dead one whose PID somebody else has now. ``unreadable`` is no state of
    a run: its record is damaged. ``outcomes`` says at the end how each host came out of it.

    ``source`` is the runbook's file; with ``inventory`` and ``limit`` it is what is needed to plan
    again. ``environment`` is the one that it was for; ``freeze_override`` says why it was started
    although nothing was to be changed there then. ``resumed`` counts how often the run was taken up
    again. ``waiting_for`` is the question that a person has not answered yet: ``step``, ``kind``,
    ``text``, ``by``, ``asked_at``, ``host``.
    """

    run_id: str
    runbook: str
    title: str
    state: RunState
    mode: Literal["run", "check"]
    started_at: str
    pid: int
    process_started: float
    host: str
    user: str
    plan_hash: str
    hosts: list[str]
    params: dict[str, Any] = field(default_factory=dict)
    finished_at: str | None = None
    duration_seconds: float | None = None
    changed: int = 0
    failed_step: str | None = None
    error: str | None = None
    source: str = ""
    inventory: str = ""
    limit: str = ""
    environment: str = ""
    freeze_override: str = ""
    resumed: int = 0
    waiting_for: dict[str, Any] = field(default_factory=dict)
    outcomes: dict[str, HostOutcome] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(slots=True)
class JournalEntry:
    """One line of ``journal.jsonl``; also what a face is told while a run goes on.

    ``undo`` holds the inverses that the task recorded, oldest first, as ``{"task", "with"}``; of an
    entry of the phase ``undo``, the one that was carried out. ``number`` counts the loop's items.
    """

    at: str
    phase: Phase
    step: str
    title: str
    host: str
    state: StepState
    item: Any = None
    attempt: int = 1
    duration_seconds: float | None = None
    message: str = ""
    diff: str = ""
    error: str = ""
    hint: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    undo: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        return {
            key: value
            for key, value in asdict(self).items()
            if value not in (None, "", {}, []) and (key, value) != ("number", 0)
        }
