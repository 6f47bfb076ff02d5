"""What failed lately, in runs and in sessions, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.listing import Listing, first_line
from schemas.errors import SessionopsError
from tracker.client.servers import session_buddy
from tracker.client.table import local_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.listing import Row
    from schemas.settings import Settings

ENDED_BADLY = ("failed", "rolled_back", "interrupted")

_LOOKED_THROUGH = 200
"""Sessions of the tracker, and events of each, that are looked through."""


def failures(settings: Settings, limit: int = 10) -> Listing:
    """What failed lately, newest first: runs with the step that failed, and commands of sessions.

    Without the tracker only the runs are there, and the note says so.
    """
    note = ""
    found = list(_failed_runs(limit))
    try:
        found += _failed_events(settings, limit)
    except SessionopsError as error:
        note = f"only runs: {error.message}; {error.hint}"
    found.sort(key=lambda row: row["at"], reverse=True)
    return Listing(
        found[:limit],
        {
            "When": lambda row: local_time(row["at"]),
            "Where": lambda row: f"{row['kind']} {row['id']}",
            "What": lambda row: first_line(row["what"]),
            "Error": lambda row: first_line(row["error"]),
        },
        "no errors",
        note=note,
        optional=("Where",),
    )


def _failed_runs(limit: int) -> Iterator[Row]:
    from orchestrator.operations import list_runs

    for state in ENDED_BADLY:
        for record in list_runs(limit=limit, state=state):
            yield {
                "at": record.finished_at or record.started_at,
                "kind": "run",
                "id": record.run_id,
                "what": " ".join(filter(None, (record.runbook, record.failed_step))),
                "error": record.error or record.state,
            }


def _failed_events(settings: Settings, limit: int) -> list[Row]:
    found: list[Row] = []
    with session_buddy(settings, "read") as tracker:
        newest = tracker.get("/api/v1/sessions", limit=_LOOKED_THROUGH)["sessions"]
        for session in newest:
            # The steps of a run are told by the run itself.
            if not session["error_count"] or session["session_type"] == "runbook":
                continue
            path = f"/api/v1/sessions/{session['session_id']}/events"
            events = tracker.get(path, limit=_LOOKED_THROUGH)["events"]
            found += [_failed_event(event) for event in events if _is_failure(event)]
            if len(found) >= limit:
                break
    return found


def _is_failure(event: Row) -> bool:
    return event["event_type"] == "error" or (
        event["event_type"] == "command" and bool(event["exit_code"])
    )


def _failed_event(event: Row) -> Row:
    data = event["data"]
    return {
        "at": event["timestamp"],
        "kind": "session",
        "id": event["session_id"],
        "what": data.get("text", event["event_type"]),
        "error": data.get("error") or data.get("message") or f"exit code {event['exit_code']}",
    }
