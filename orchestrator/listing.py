"""What there is, as rows: runs, runbooks, sessions, repositories.

The shell's functions and the command line show the same rows. This module gathers them and knows
which columns a person wants; it neither prints nor decides where they go.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from schemas.units import format_duration
from tracker.client.servers import session_buddy
from tracker.client.table import clock, seconds_since, short_time, shortened, table
from tracker.client.tokens import login_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from schemas.settings import Settings

    Row = dict[str, Any]

ACTIVE = ("running", "waiting")

_ERROR_WIDTH = 36
"""Columns of an error in a list of runs; the whole of it is in the run's log."""

_LOOKED_THROUGH = 200
"""Sessions of the tracker that are looked through for those of this user."""


class Listing(list[dict[str, Any]]):
    """Rows that show themselves as a table and are used as plain data.

    Args:
        rows: the data.
        columns: heading and what stands below it, for a person.
        empty: what is said instead of an empty table.
        note: a line below it, when there is something to say.
        right: headings of numbers.
        optional: headings that a narrow terminal goes without, the first one first.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        columns: Mapping[str, Callable[[Row], str]],
        empty: str,
        *,
        note: str = "",
        right: Collection[str] = (),
        optional: Sequence[str] = (),
    ) -> None:
        super().__init__(rows)
        self.note = note
        self._columns = columns
        self._empty = empty
        self._right = right
        self._optional = optional

    def __str__(self) -> str:
        shown = self._table() if self else self._empty
        return f"{shown}\n{self.note}" if self.note else shown

    def _table(self) -> str:
        cells = [[show(row) for show in self._columns.values()] for row in self]
        return table(list(self._columns), cells, right=self._right, optional=self._optional)

    __repr__ = __str__


class Said(str):
    """A text that the shell shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def runs(limit: int = 20) -> Listing:
    """Runs, newest first."""
    from orchestrator.operations import list_runs

    return Listing(
        (record.as_dict() for record in list_runs(limit=limit)),
        {
            "Run": lambda run: run["run_id"],
            "Runbook": lambda run: run["runbook"],
            "State": _state_of_run,
            "Started": lambda run: short_time(run["started_at"]),
            "Took": lambda run: _duration(run["duration_seconds"]),
            "Changed": lambda run: str(run["changed"]),
            "Error": lambda run: shortened(first_line(run["error"]), _ERROR_WIDTH),
        },
        "no runs yet; start one with: invoke deploy",
        right={"Took", "Changed"},
        optional=("Changed", "Took", "Error", "Started"),
    )


def active_runs() -> Listing:
    """Runs that are going on now, each with the step that it is at."""
    from orchestrator.operations import get_run, list_runs

    found = []
    for state in ACTIVE:
        for record in list_runs(limit=_LOOKED_THROUGH, state=state):
            entries = get_run(record.run_id)[1]
            latest = entries[-1] if entries else None
            found.append({**record.as_dict(), "step": latest.as_dict() if latest else None})
    return Listing(
        found,
        {
            "Run": lambda run: run["run_id"],
            "Runbook": lambda run: run["runbook"],
            "State": _state_of_run,
            "Step": lambda run: _step(run["step"]),
            "For": lambda run: format_duration(seconds_since(run["started_at"])),
            "PID": lambda run: str(run["pid"]),
            "User": lambda run: run["user"],
        },
        "nothing is running",
        right={"For", "PID"},
        optional=("User", "PID"),
    )


def runbooks() -> Listing:
    """The runbooks of this release or checkout."""
    from orchestrator.operations import list_runbooks

    return Listing(
        ({**asdict(summary), "path": str(summary.path)} for summary in list_runbooks()),
        {
            "Runbook": lambda runbook: runbook["name"],
            "Title": lambda runbook: runbook["title"] or f"broken: {first_line(runbook['fault'])}",
            "Group": lambda runbook: runbook["group"],
        },
        "there are no runbooks",
        optional=("Group",),
    )


def repositories(settings: Settings) -> Listing:
    """The repositories of the settings, as git sees them now."""
    from orchestrator.repositories import list_repositories

    return repository_listing(each.as_dict() for each in list_repositories(settings))


def repository_listing(rows: Iterable[Row]) -> Listing:
    """Repositories as this machine or the server's answer has them."""
    return Listing(
        rows,
        {
            "Repository": lambda repo: repo["path"],
            "Branch": lambda repo: repo["branch"],
            "Commit": lambda repo: repo["commit"][:12],
            "State": _state_of_repository,
        },
        "no repositories in the settings; list them under repos: in mahavishnu.yaml",
    )


def sessions(settings: Settings, limit: int = 10) -> Listing:
    """Sessions of this user on this host, newest first.

    Raises:
        Unreachable: the tracker does not answer.
    """
    me = (login_name(), os.uname().nodename)
    with session_buddy(settings, "read") as tracker:
        newest = tracker.get("/api/v1/sessions", limit=_LOOKED_THROUGH)["sessions"]
    own = [session for session in newest if (session["user"], session["host"]) == me]
    return Listing(
        own[:limit],
        {
            "Session ID": lambda session: session["session_id"],
            "Type": lambda session: session["session_type"],
            "Status": lambda session: session["status"],
            "Started": lambda session: short_time(session["start_time"]),
            "Duration": lambda session: clock(session["duration_seconds"]),
            "Commands": lambda session: str(session["command_count"]),
            "Errors": lambda session: str(session["error_count"]),
        },
        f"no sessions of {me[0]} on {me[1]} yet",
        right={"Duration", "Commands", "Errors"},
        optional=("Errors", "Commands", "Type"),
    )


def first_line(text: str | None) -> str:
    """The first line of a text, or nothing."""
    return (text or "").partition("\n")[0]


def _state_of_run(run: Row) -> str:
    return f"{run['state']} (check)" if run["mode"] == "check" else str(run["state"])


def _state_of_repository(repo: Row) -> str:
    if repo["error"]:
        return str(repo["error"])
    return "changed" if repo["dirty"] else "clean"


def _step(entry: Row | None) -> str:
    return f"{entry['step']} on {entry['host']}" if entry else "about to begin"


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(seconds)
