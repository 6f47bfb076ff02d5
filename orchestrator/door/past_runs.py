"""``invoke runbook.*`` about runs of the past: list them, compare two, forget old ones.

Knows options; what is done stands in ``orchestrator.operations`` and ``orchestrator.past_runs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from orchestrator.door.answers import positive, run_state, told

if TYPE_CHECKING:
    from datetime import datetime

    from invoke.context import Context


@task(
    positional=[],
    help={
        "limit": "how many at the most",
        "state": "only these: succeeded, failed, rolled_back, cancelled, interrupted, running",
        "runbook": "only runs of this runbook",
        "host": "only runs on this host",
        "user": "only runs that this user started",
        "since": "only runs that started then or later: 24h, 7d, 2026-11-23",
        "until": "only runs that started before",
        "json": "as JSON",
    },
)
@told
def history(
    _context: Context,
    limit: str = "20",
    state: str = "",
    runbook: str = "",
    host: str = "",
    user: str = "",
    since: str = "",
    until: str = "",
    json: bool = False,
) -> None:
    """List the runs, newest first.

    Examples: invoke runbook.history --state failed --since 7d; invoke runbook.history --host web-1
    """
    from orchestrator import console, operations
    from orchestrator.engine.history import Filter

    wanted = Filter(
        state=run_state(state),
        runbook=runbook or None,
        host=host or None,
        user=user or None,
        since=_moment(since),
        until=_moment(until),
    )
    records = operations.list_runs(limit=positive(limit, "--limit"), wanted=wanted)
    if json:
        console.print_json([record.as_dict() for record in records])
    else:
        rows = [console.history_row(record) for record in records]
        asked_for = wanted != Filter()
        empty = "there is no such run" if asked_for else "nothing was run yet"
        console.print_table(console.HISTORY_TITLES, rows, empty)


@task(
    help={
        "first": "a run, the beginning of its name, or latest",
        "second": "another",
        "json": "as JSON",
    }
)
@told
def diff(_context: Context, first: str, second: str, json: bool = False) -> None:
    """Show what differs between two runs: parameters, hosts, how steps ended, how long they took.

    Example: invoke runbook.diff 20261122-0915 latest
    """
    from orchestrator import console, past_runs

    found = past_runs.diff_runs(first, second)
    if json:
        console.print_json(found)
        return
    for part in ("run", "params", "steps", "durations"):
        if found[part]:
            print(part.capitalize())
        for name, (one, other) in found[part].items():
            print(f"  {name}: {_words(one)} -> {_words(other)}")
    for part, names in found["hosts"].items():
        if names:
            print(f"Hosts of the {part.removeprefix('only_')} alone: {', '.join(names)}")
    if not any(found[part] for part in ("run", "params", "steps")):
        print("the runs did the same")


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(str(one) for one in value.values())
    return "nothing" if value is None else str(value)


@task(
    positional=[],
    help={
        "keep_days": "runs that are younger stay",
        "keep_last": "so many runs of each runbook stay",
        "dry_run": "only tell",
        "json": "as JSON",
    },
)
@told
def forget(
    _context: Context,
    keep_days: str = "",
    keep_last: str = "",
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Delete the records of old runs; one that is alive, or can be resumed or undone, stays.

    Example: invoke runbook.forget --keep-days 90 --keep-last 20 --dry-run
    """
    from orchestrator import console, past_runs

    found = past_runs.forget_runs(
        keep_days=positive(keep_days, "--keep-days") if keep_days else None,
        keep_last=positive(keep_last, "--keep-last") if keep_last else None,
        dry_run=dry_run,
    )
    if json:
        kept = {record.run_id: why for record, why in found.kept}
        console.print_json({"gone": [one.run_id for one in found.gone], "kept": kept})
        return
    for record in found.gone:
        print(f"{record.run_id}: {'would be forgotten' if dry_run else 'forgotten'}")
    for record, why in found.kept:
        print(f"{record.run_id}: stays, {why}")
    if not found.gone and not found.kept:
        print("there is no run so old")


def _moment(text: str) -> datetime | None:
    from datetime import UTC, datetime

    from schemas.moments import parse_moment

    return parse_moment(text, datetime.now(UTC)) if text else None
