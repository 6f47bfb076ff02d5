"""Putting a question to whoever answers first: the terminal, or another process.

Knows where answers come from, not what is asked.
"""

from __future__ import annotations

import math
import select
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.engine.ask import Answer, Question
from orchestrator.engine.control import LOOK, Inbox, person
from orchestrator.tasks.halt import raise_if_halted
from schemas.errors import Interrupted, StepFailed
from schemas.units import format_duration

if TYPE_CHECKING:
    from orchestrator.engine.stop import StopRequest

_YES = {"approve", "done"}
_NO = {"refuse"}


@dataclass(frozen=True)
class Asker:
    """Asks a person, wherever that person is.

    Args:
        inbox: answers from other processes.
        stop: ends the waiting.
        yes: whoever started the run has agreed to everything beforehand.
    """

    inbox: Inbox
    stop: StopRequest
    yes: bool = False

    def __call__(self, question: Question) -> Answer:
        """The first answer of somebody who may give one.

        Raises:
            StepFailed: none came in time, or ``--yes`` is not enough here.
            Interrupted: somebody asked the run to stop.
        """
        if self.yes:
            return _beforehand(question)
        terminal = sys.stdin is not None and sys.stdin.isatty() and _may(question, person())
        how = f"answer with: invoke runbook.approve {question.run_id} [--refuse]"
        asked = "Done?" if question.kind == "manual" else "Go on?"
        text = f"{asked} [y/N] " if terminal else f"{how}\n"
        sys.stderr.write(f"{question.text.rstrip()}\n{text}")
        sys.stderr.flush()
        end = time.monotonic() + (math.inf if question.timeout is None else question.timeout)
        while time.monotonic() < end:
            raise_if_halted()
            if self.stop.asked:
                raise Interrupted("asked to stop while it waited for an answer")
            found = self._heard(question) or (_typed() if terminal else None)
            if found is not None:
                return found
        waited = format_duration(question.timeout or 0)
        raise StepFailed(
            f"nobody answered within {waited}", hint=f"invoke runbook.resume {question.run_id}"
        )

    def _heard(self, question: Question) -> Answer | None:
        word = self.inbox.answer(question.step, question.asked_at, LOOK)
        if word is None or word.ask not in _YES | _NO or not _may(question, word.by):
            return None
        return Answer(yes=word.ask in _YES, by=word.by)


def _may(question: Question, who: str) -> bool:
    return not question.by or who in question.by


def _typed() -> Answer | None:
    if not select.select([sys.stdin], [], [], 0)[0]:
        return None
    return Answer(yes=sys.stdin.readline().strip().lower() in {"y", "yes"}, by=person())


def _beforehand(question: Question) -> Answer:
    if not question.allow_yes:
        raise StepFailed(
            "a person has to answer here: --yes is not enough",
            hint="start the run without --yes, or write allow_yes: true in the runbook",
        )
    return Answer(yes=True, by=f"{person()} with --yes")
