"""SQL that somebody writes: run by ``tracker.store.sandbox``, on a copy, within bounds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import structlog

from schemas.errors import Busy, DiskFull, InvalidInput, SessionopsError
from schemas.store import QueryAnswer
from schemas.units import format_size
from tracker.store.snapshot import take_snapshot
from tracker.store.workfolder import work_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.store.backup import Paused

MOST_ROWS = 100_000
LONGEST_SECONDS = 60
LONGEST_SQL = 100_000

_AT_ONCE = 2
"""Queries; each may take a processor and two gigabytes."""

WORK_FOLDER = ".query-"

_log = structlog.get_logger("store")


class Adhoc:
    """Runs queries on copies of one database.

    Args:
        path: the database file.
        paused: runs something with the writer's connection while nothing is written.
    """

    def __init__(self, path: Path, paused: Paused) -> None:
        self._path = path
        self._paused = paused
        self._free = threading.BoundedSemaphore(_AT_ONCE)

    def query(self, sql: str, *, rows: int, seconds: int) -> QueryAnswer:
        """The result of one query.

        Args:
            sql: one statement that reads.
            rows: rows at the most.
            seconds: how long it may take.

        Raises:
            InvalidInput: not a query, a wrong one, or it takes too long or too much memory.
            Busy: enough queries are running.
            DiskFull: there is no room for a copy of the database.
            SessionopsError: it could not be run.
        """
        _check_bounds(sql, rows, seconds)
        if not self._free.acquire(blocking=False):
            raise Busy(f"{_AT_ONCE} queries are running already", hint="try again in a moment")
        try:
            return self._query({"sql": sql, "rows": rows, "seconds": seconds})
        except OSError as error:
            raise SessionopsError(
                f"the query could not be run: {error.strerror or error}", where=str(error.filename)
            ) from error
        finally:
            self._free.release()

    def _query(self, request: dict[str, Any]) -> QueryAnswer:
        with work_folder(self._path.parent, WORK_FOLDER) as work:
            self._check_room()
            copy = work / "copy.db"
            self._paused(lambda connection: take_snapshot(connection, self._path, copy))
            return QueryAnswer(**_asked({**request, "database": str(copy)}))

    def _check_room(self) -> None:
        needed, free = self._path.stat().st_size, shutil.disk_usage(self._path.parent).free
        if free < 2 * needed:
            raise DiskFull(
                f"a query works on a copy of {format_size(needed)}, {format_size(free)} are free",
                where=str(self._path.parent),
                hint="make room, or ask a backup on another machine",
            )


def _check_bounds(sql: str, rows: int, seconds: int) -> None:
    if not sql.strip() or len(sql) > LONGEST_SQL:
        raise InvalidInput(f"the query has 1 to {LONGEST_SQL} characters")
    if not 1 <= rows <= MOST_ROWS:
        raise InvalidInput(f"the limit is a number of rows from 1 to {MOST_ROWS}, not {rows}")
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise InvalidInput(f"the time is 1 to {LONGEST_SECONDS} seconds, not {seconds}")


def _asked(request: dict[str, Any]) -> dict[str, Any]:
    """The sandbox's answer to a request."""
    seconds = request["seconds"]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "tracker.store.sandbox"],
            input=json.dumps(request).encode(),
            capture_output=True,
            check=False,
            timeout=seconds,
            env={},  # settings hold secrets, and a query could read the environment
        )
    except subprocess.TimeoutExpired:
        raise InvalidInput(
            f"the query took longer than {seconds} s and was stopped",
            hint=f"ask for less, or give it more time: up to {LONGEST_SECONDS} s",
        ) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        _log.warning("query process ended", code=done.returncode, reason=said[-1] if said else "")
        raise InvalidInput(
            "the query ended the process that ran it",
            hint="it needs more memory than it may take, or DuckDB has a fault; ask otherwise",
        ) from None
    if "error" in answer:
        raise InvalidInput(answer["error"], hint=answer["hint"])
    return dict(answer)
