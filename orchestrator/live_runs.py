"""What every face calls about runs that go on in another process: stop one, answer one.

Errors are exceptions of ``schemas.errors``; nothing here prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput, NotAuthorised
from schemas.places import Places
from schemas.run import ALIVE, RESUMABLE

if TYPE_CHECKING:
    from schemas.run import Ask, RunRecord


def cancel_run(run_id: str, by: str = "", *, now: bool = False) -> RunRecord:
    """Ask a run to end after its step and undo what it changed.

    Args:
        run_id: the run, the beginning of its name, or ``latest``.
        by: who asks; empty: the user of this process.
        now: end at once and undo nothing.

    Raises:
        NotFound: no such run.
        InvalidInput: it is over.
    """
    from orchestrator.engine.control import person, send

    record = _alive(run_id)
    send(
        Places.of_this_user().runs / record.run_id, "stop_now" if now else "cancel", by or person()
    )
    return record


def answer_run(run_id: str, by: str = "", *, yes: bool) -> dict[str, Any]:
    """Answer the question that a run waits for.

    Args:
        run_id: the run, the beginning of its name, or ``latest``.
        by: who answers; empty: the user of this process.
        yes: it may go on, or it was done.

    Returns:
        The question, as the run's record has it.

    Raises:
        NotFound: no such run.
        InvalidInput: it is over, or waits for nobody.
        NotAuthorised: somebody else has to answer.
    """
    from orchestrator.engine.control import person, send

    record, who = _alive(run_id), by or person()
    question = record.waiting_for
    if record.state != "waiting" or not question:
        raise InvalidInput(
            f"the run {record.run_id} waits for nobody's answer",
            hint=f"invoke runbook.log --run {record.run_id} shows how far it is",
        )
    allowed = question.get("by") or []
    if allowed and who not in allowed:
        raise NotAuthorised(
            f"{who} may not answer here",
            where=str(question["step"]),
            hint=f"this is for {', '.join(allowed)}",
        )
    word: Ask = "refuse" if not yes else "done" if question["kind"] == "manual" else "approve"
    place = Places.of_this_user().runs / record.run_id
    send(place, word, who, step=question["step"], question=question["asked_at"])
    return question


def _alive(run_id: str) -> RunRecord:
    from orchestrator.engine.history import read_run

    record, _ = read_run(Places.of_this_user().runs, run_id)
    if record.state not in ALIVE:
        raise InvalidInput(
            f"the run {record.run_id} is over: it is {record.state}",
            hint=f"go on with it: invoke runbook.resume {record.run_id}"
            if record.state in RESUMABLE
            else "",
        )
    return record
