"""Events into the database, a group at a time; what they make of their sessions follows.

A group is acknowledged when its events are on disk, by one statement and one commit. Their sessions
are brought forward a moment later, many groups at once (``settle``), and before anybody reads.
After a crash that is made up for from the events. Runs in the writer's thread.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from tracker.store.archive import archived_events, bring_back
from tracker.store.columns import event_columns, insert
from tracker.store.faults import is_given_up
from tracker.store.projection import project, project_again
from tracker.store.transactions import looked_up, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from duckdb import DuckDBPyConnection

    from tracker.store.known_ids import KnownIds
    from tracker.store.projection import Project
    from tracker.store.rows import EventRow

_INSERT_EVENTS = """
INSERT INTO session_events (
    event_id, session_id, event_type, timestamp, data, received_at, sequence, duration_seconds,
    exit_code)
SELECT event_id, session_id, event_type, make_timestamptz(timestamp), data,
    make_timestamptz(received_at), sequence, duration_seconds, exit_code
FROM incoming
"""

_ELSEWHERE = """
SELECT 'archived', session_id FROM archived_sessions WHERE session_id IN ({marks})
UNION ALL SELECT 'deleted', session_id FROM deleted_sessions WHERE session_id IN ({marks})
"""

_REMEMBERED = 100_000
"""Sessions that are known to be neither in the archive nor deleted."""


class Ingest:
    """What is stored of events, and what of it their sessions do not show yet.

    Args:
        known: tells which sessions need not be looked for.
        told: called after each commit with the events of the group and the ids that were new.
        project: brings sessions forward; see ``tracker.store.projection.project``.
        at_once: after each group, so that what is logged meanwhile belongs to it.
        behind: sessions lag behind what is stored already, after a crash.
        brought_back: called with the ids of sessions that come back from the archive.
    """

    def __init__(
        self,
        known: KnownIds,
        told: Callable[[Sequence[EventRow], set[str]], object] = lambda *_: None,
        *,
        project: Project = project,
        at_once: bool = False,
        behind: bool = False,
        brought_back: Callable[[Sequence[str]], object] = lambda _: None,
    ) -> None:
        self._known = known
        self._told = told
        self._project = project
        self._at_once = at_once
        self._brought_back = brought_back
        self._here: set[str] = set()
        self._unsettled: dict[str, list[EventRow]] = defaultdict(list)
        self._unheard: set[str] = set()
        self._behind = behind
        self.unsettled = int(behind)

    def store(self, connection: DuckDBPyConnection, rows: Sequence[EventRow]) -> set[str]:
        """Store a group of events in one transaction.

        Args:
            connection: the writer's.
            rows: the events, in the order in which they arrived; ids may occur twice.

        Returns:
            The ids of the events that were new.
        """
        unique: dict[str, EventRow] = {}
        for row in rows:
            unique.setdefault(row.event_id, row)
        fresh = self._whose_session_is_here(connection, list(unique.values()))
        try:
            fresh = _inserted(connection, fresh)
        except Exception as error:
            if is_given_up(error):
                # They may be stored all the same, and count as sent twice when they come again.
                self._behind, self.unsettled = True, self.unsettled + 1
            raise
        for row in fresh:
            self._unsettled[row.session_id].append(row)
        self.unsettled += len(fresh)
        new = {row.event_id for row in fresh}
        self._told(fresh, new)
        if self._at_once and fresh:
            with suppress(Exception):  # these events are stored; the writer tries again, and tells
                self.settle(connection)
        return new

    def settle(self, connection: DuckDBPyConnection) -> None:
        """Bring the sessions forward by all events that were stored since the last time."""
        try:
            if self._behind:
                project_again(connection)
            else:
                self._project(connection, self._unsettled, self._unheard)
        except Exception as error:
            # Of a file that has to be opened anew nobody knows whether this was in it.
            self._behind |= is_given_up(error)
            raise
        self._unsettled, self._unheard, self._behind = defaultdict(list), set(), False
        # Last: who reads meanwhile has to wait.
        self.unsettled = 0

    def disturbed(self) -> None:
        """Somebody else has written: sessions may have gone to the archive, or for good."""
        self._here.clear()

    def _whose_session_is_here(
        self, connection: DuckDBPyConnection, rows: list[EventRow]
    ) -> list[EventRow]:
        """The events that are to be stored, with their sessions brought back from the archive."""
        asked = {row.session_id for row in rows} - self._here
        if not asked:
            return rows
        perhaps = self._known.among(asked)
        self._unheard |= asked.difference(perhaps)
        found: dict[str, set[str]] = defaultdict(set)
        for where, session_id in looked_up(connection, _ELSEWHERE, perhaps):
            found[where].add(session_id)
        back: list[str] = []
        if found["archived"] or found["deleted"]:
            rows, back = _left(connection, rows, found["archived"], found["deleted"])
            self._brought_back(back)
        self._known.add(asked)
        if len(self._here) > _REMEMBERED:
            self._here.clear()
        self._here |= asked - found["deleted"] - (found["archived"] - set(back))
        return rows


def _left(
    connection: DuckDBPyConnection, rows: Iterable[EventRow], archived: set[str], deleted: set[str]
) -> tuple[list[EventRow], list[str]]:
    """The events that are to be stored, and the sessions that came back from the archive."""
    known = set(archived_events(connection, archived))
    left = [row for row in rows if row.event_id not in known and row.session_id not in deleted]
    back = sorted(archived & {row.session_id for row in left})
    bring_back(connection, back)
    return left, back


def _inserted(connection: DuckDBPyConnection, rows: list[EventRow]) -> list[EventRow]:
    """Those of these events that were not there yet; they are now."""
    import duckdb

    while rows:
        try:
            with transaction(connection):
                insert(connection, _INSERT_EVENTS, event_columns(rows))
        except duckdb.ConstraintException:
            # Somebody sent an event again. Looking that up before each group would cost more than
            # the group itself; ON CONFLICT costs three times a plain insert and grows with the
            # table.
            known = _known_ids(connection, [row.event_id for row in rows])
            if not known:
                raise
            rows = [row for row in rows if row.event_id not in known]
        else:
            break
    return rows


def _known_ids(connection: DuckDBPyConnection, event_ids: Sequence[str]) -> set[str]:
    query = "SELECT event_id FROM session_events WHERE event_id IN ({marks})"
    return {found[0] for found in looked_up(connection, query, event_ids)}


def store_property(connection: DuckDBPyConnection, name: str, value: str) -> None:
    """Note a fact that the tracker wants to know about itself after a restart."""
    connection.execute(
        "INSERT INTO properties VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value],
    ).fetchall()
