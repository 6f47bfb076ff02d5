"""The tracker's database, through the tracker: no task opens the file itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from orchestrator.tasks import programs, service_state
from orchestrator.tasks.outcome import Outcome, changes_nothing, records_no_undo
from orchestrator.tasks.placing import look
from orchestrator.tasks.release_record import current_release
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed
from schemas.units import format_size, parse_duration

if TYPE_CHECKING:
    from invoke.context import Context

_TIMEOUT = 1800.0
_START_SECONDS = 30.0
"""How long the command may take beside the query itself."""


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


@task
@changes_nothing
def query(c: Context, sql: str, limit: int = 100, timeout: str = "10s") -> Outcome:
    """Ask the tracker's database with one SQL query that only reads (guide 7.1).

    The tracker runs it on a copy, in a process that reaches no file and no network.

    Args:
        c: the task's Context or Connection.
        sql: the query; it gets there through standard input.
        limit: rows at most.
        timeout: how long it may take; 60s at most.

    Outputs:
        rows: a mapping each, by column; count: how many they are; more: whether there are more.

    Raises:
        StepFailed: no release is in use, or the tracker refuses the query.
    """
    if current_release(c) is None:
        raise StepFailed(
            "no release is in use to ask with", where=scope(c).host.name, hint="invoke deploy first"
        )
    words = ["db", "query", "--json", "--limit", str(int(limit)), "--timeout", timeout, "-"]
    seconds = parse_duration(timeout) + _START_SECONDS
    result = programs.run(
        c, "session-buddy", words, input=sql, timeout=seconds, check=False, as_server=True
    )
    if not result:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        raise StepFailed(
            f"the query was not answered: {'; '.join(lines[:3]).removeprefix('error: ')}",
            where=scope(c).host.name,
            hint="try it by hand: session-buddy db query",
        )
    rows = _rows(result.stdout)
    more = len(rows) >= int(limit) and bool(result.stderr.strip())
    told = f"{len(rows)} row{'' if len(rows) == 1 else 's'}" + ", and there are more" * more
    return Outcome(message=told, outputs={"rows": rows, "count": len(rows), "more": more})


def _rows(text: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        raise StepFailed(
            "session-buddy db query did not answer with rows",
            hint="are they more than 2 MB? ask for fewer columns or rows",
        )
    return rows


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
