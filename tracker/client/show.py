"""What the tracker and a server's health say, as lines for a person (guide 3 step 4, 4.1).

Pure: from the JSON of the API to text. Both command lines use it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from schemas.units import format_duration
from tracker.client.table import clock, local_time, printable, seconds_since, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.errors import SessionopsError
    from schemas.health import Health, Probe

    Row = Mapping[str, Any]

SESSION_COLUMNS = (
    *("session_id", "component", "session_type", "status", "start_time", "end_time"),
    *("duration_seconds", "command_count", "error_count", "event_count", "exit_code"),
    *("user", "host", "cwd", "pid", "version", "git_branch", "git_commit", "git_dirty"),
    *("author_kind", "run_id", "last_seen", "metadata", "archived"),
)
EVENT_COLUMNS = (
    *("event_id", "session_id", "event_type", "timestamp", "received_at", "sequence"),
    *("duration_seconds", "exit_code", "data"),
)
_MARKS = {True: "✓", False: "✗", None: "-"}
_WIDE = 110


def health_lines(health: Health) -> list[str]:
    """One line a probe; what to do below each that is not as it should be."""
    return [line for probe in health.probes for line in probe_lines(probe)]


def probe_lines(probe: Probe) -> list[str]:
    """The line of one probe, and what to do when it is not as it should be."""
    line = f"{_MARKS[probe.ok]} {probe.name}: {probe.value}"
    return [line, f"  {probe.hint}"] if probe.hint and probe.ok is not True else [line]


def unreachable_lines(title: str, error: SessionopsError) -> list[str]:
    """The same for a server that does not answer."""
    lines = [f"{_MARKS[False]} {title}: unhealthy, {error.message}"]
    return [*lines, f"  {error.hint}"] if error.hint else lines


def session_table(sessions: Sequence[Row], *, width: int | None = None) -> str:
    """Sessions with the guide's columns, and more where there is room."""
    titles = ("Session ID", "Component", "Type", "Status", "Started", "Duration", "Events")
    rows = [
        (
            row["session_id"],
            row["component"],
            row["session_type"],
            f"{row['status']} (archived)" if row.get("archived") else row["status"],
            local_time(row["start_time"]),
            clock(_duration(row)),
            str(row["event_count"]),
        )
        for row in sessions
    ]
    optional = ("Started", "Type", "Status")
    return table(titles, rows, width=width, right={"Duration", "Events"}, optional=optional)


def session_lines(session: Row) -> list[str]:
    """One session, a field a line, in the words of the API; empty fields are left out."""
    shown = {_label(key): _value(key, value) for key, value in session.items()}
    present = {key: value for key, value in shown.items() if value}
    widest = max(len(key) for key in present)
    return [f"{key:<{widest}}  {value}" for key, value in present.items()]


def event_table(events: Sequence[Row], *, width: int, sessions: bool = False) -> str:
    """Events in the order in which they are given.

    Args:
        events: the events.
        width: columns of the screen.
        sessions: they are of several sessions; each is named.
    """
    titles = ("Session ID" if sessions else "#", "Time", "Type", "Text", "Outcome", "Duration")
    rows = [
        (
            str(row["session_id"] if sessions else row["sequence"]),
            _moment(row["timestamp"], width),
            row["event_type"],
            event_text(row),
            event_outcome(row),
            "" if row["duration_seconds"] is None else format_duration(row["duration_seconds"]),
        )
        for row in events
    ]
    return table(titles, rows, width=width, right={"Duration"})


def event_text(event: Row) -> str:
    """What an event is about, in a line."""
    data = event["data"]
    if event["event_type"] == "gap":
        return f"{data.get('dropped', '?')} events lost: {data.get('reason', '')}"
    for key in ("text", "command", "title", "step", "message", "reason"):
        if data.get(key):
            return str(data[key])
    return ""


def event_outcome(event: Row) -> str:
    """How it went: as the event says, or by its exit code."""
    if said := event["data"].get("outcome") or event["data"].get("state"):
        return str(said)
    if event["exit_code"] is None:
        return ""
    return "ok" if event["exit_code"] == 0 else f"exit {event['exit_code']}"


def _duration(session: Row) -> float | None:
    if session["duration_seconds"] is not None:
        return float(session["duration_seconds"])
    return seconds_since(session["start_time"]) if session["status"] == "active" else None


def _moment(timestamp: str, width: int) -> str:
    moment = local_time(timestamp)
    return moment if width >= _WIDE else moment[11:19]


def _label(key: str) -> str:
    """A duration is shown with its own unit."""
    return "duration" if key == "duration_seconds" else key


def _value(key: str, value: Any) -> str:
    if value is None or value in ("", {}, []) or (key == "archived" and not value):
        return ""
    if key.endswith("_time") or key == "last_seen":
        return local_time(value)
    if key == "duration_seconds":
        return format_duration(value)
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
