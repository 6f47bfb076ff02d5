"""The tracker's database, through the tracker: no task opens the file itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import programs, service_state
from orchestrator.tasks.outcome import Outcome, records_no_undo
from orchestrator.tasks.placing import look
from orchestrator.tasks.release_record import current_release
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed
from schemas.units import format_size

if TYPE_CHECKING:
    from invoke.context import Context

_TIMEOUT = 1800.0


@task
@records_no_undo
def backup(c: Context, release: str = "", reason: str = "", when_down: str = "fail") -> Outcome:
    """Back up the database while the tracker serves it (guide 7.3).

    Args:
        c: the task's Context or Connection.
        release: the folder of the release whose commands are used when ``current`` names none.
        reason: why, for the backup's manifest.
        when_down: ``fail`` or ``skip`` when the tracker does not answer, so that nobody could tell
            what is in its file; a deploy that mends it must not need it.

    Outputs:
        the manifest's fields (``schemas.backup``); nothing when there is no database yet.

    Raises:
        StepFailed: there is a database, and no backup of it could be made.
    """
    here = scope(c)
    if look(c, here.settings.database).kind == "nothing":
        return Outcome(message="no database yet, so nothing to back up")
    if when_down not in {"fail", "skip"}:
        raise InvalidInput(f"when_down is {when_down!r}", hint="write fail or skip")
    current = current_release(c)
    if when_down == "skip" and not _answers(c, current):
        return Outcome(message="not backed up, since the tracker does not answer")
    if here.check:
        return Outcome(changed=True, message=f"{here.settings.database} would be backed up")
    folder = here.places.current if current else release
    if not folder:
        raise StepFailed(
            "no release is in use to make the backup with",
            where=here.host.name,
            hint="invoke deploy first",
        )
    words = ["backup", "create", "--json", *(["--reason", reason] if reason else [])]
    result = programs.run(
        c,
        "session-buddy",
        words,
        release=folder,
        timeout=_TIMEOUT,
        check=False,
        as_server=current is not None,
    )
    if not result:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        raise StepFailed(
            f"no backup could be made: {'; '.join(lines[-2:]).removeprefix('error: ')}",
            where=here.host.name,
            hint="session-buddy health says more; a deploy does without: --param backup=false",
        )
    made = programs.answer(result, "session-buddy backup create")
    told = f"{made['name']}, {format_size(made['size'])}, {made['sessions']} sessions"
    diff = f"+ {made['directory']}/{made['name']}\n"
    return Outcome(changed=True, message=told, diff=diff, outputs=made)


def _answers(c: Context, current: str | None) -> bool:
    """Whether the tracker answers where the files in place tell it to listen."""
    endpoint = service_state.endpoint_of(c, "session-buddy")
    if current:
        try:
            endpoint = service_state.wanted(c, "session-buddy", current).endpoint
        except StepFailed:
            # A release that cannot even say how it is configured serves nothing.
            return False
    return service_state.ask(c, "session-buddy", endpoint) is not None
