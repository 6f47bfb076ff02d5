"""Questions to a person while a run goes on.

What is asked and what is answered; how a person is reached stands in ``asking``. A face of another
kind hands in its own way of asking.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """What a person is asked.

    Args:
        run_id: the run that waits.
        step: the step's id.
        text: what to do, or what to allow.
        kind: ``manual``: was it done; ``approval``: may it be done.
        timeout: seconds to wait for the answer, or None.
        by: who may answer; empty: anybody.
        allow_yes: whether ``--yes`` is an answer.
        asked_at: when it was put, ISO 8601.
        host: the host that waits for the answer.
    """

    run_id: str
    step: str
    text: str
    kind: str
    timeout: float | None
    by: tuple[str, ...] = ()
    allow_yes: bool = False
    asked_at: str = ""
    host: str = ""


@dataclass(frozen=True)
class Answer:
    """What the person said.

    Args:
        yes: done, or allowed.
        by: who.
    """

    yes: bool
    by: str


Ask = Callable[[Question], Answer]
