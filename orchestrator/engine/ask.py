"""Questions to a person while a run goes on.

Knows the terminal, not what is asked. A face that is no terminal hands in its own way of asking.
"""

from __future__ import annotations

import getpass
import select
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.tasks.halt import LOOK, raise_if_halted
from schemas.errors import StepFailed
from schemas.units import format_duration


@dataclass(frozen=True)
class Question:
    """What a person is asked.

    Args:
        run_id: the run that waits.
        step: the step's id.
        text: what to do, or what to allow.
        kind: ``manual``: was it done; ``approval``: may it be done.
        timeout: seconds to wait for the answer, or None.
    """

    run_id: str
    step: str
    text: str
    kind: str
    timeout: float | None


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


def ask_on_terminal(question: Question) -> Answer:
    """Print the question and wait for y or n.

    Raises:
        StepFailed: there is no terminal, or no answer in time.
    """
    if not sys.stdin.isatty():
        raise StepFailed(
            "a person has to answer here, and there is no terminal",
            hint="start the run on a terminal",
        )
    asked = "Done?" if question.kind == "manual" else "Go on?"
    sys.stderr.write(f"{question.text.rstrip()}\n{asked} [y/N] ")
    sys.stderr.flush()
    if not _ready(question.timeout):
        waited = format_duration(question.timeout or 0)
        raise StepFailed(f"nobody answered within {waited}", hint="start the run again")
    line = sys.stdin.readline().strip().lower()
    return Answer(yes=line in {"y", "yes"}, by=getpass.getuser())


def _ready(timeout: float | None) -> bool:
    """Whether a line comes in time; the thread that waits may be told to leave."""
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        raise_if_halted()
        left = LOOK if end is None else min(LOOK, end - time.monotonic())
        if select.select([sys.stdin], [], [], max(0.0, left))[0]:
            return True
        if end is not None and time.monotonic() >= end:
            return False
