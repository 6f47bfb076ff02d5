"""Which texts a filter lets through, the events behind texts, and their neighbours. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracker.store.archive_schema import ALL_EVENTS, ALL_SESSIONS
from tracker.store.filters import ALL, Condition, within
from tracker.store.given import given_ids

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from tracker.store.database import Database

# The order is that of queries.list_events.
_NEIGHBOURS = """
SELECT event_id, {neighbours}
FROM {events} AS events WHERE session_id IN ({marks})
WINDOW session AS (PARTITION BY session_id ORDER BY timestamp, sequence, event_id)
QUALIFY event_id IN (SELECT unnest(?))
"""

Around = tuple[list[str], list[str]]
"""Ids of the events before and after, in the order in which they happened."""


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Which events are searched; an empty field does not filter.

    Args:
        since: happened at this time or later, by the clock of their host.
        until: happened before this time.
        session_type: of their sessions, such as ``admin_shell``.
        user: of their sessions.
        host: of their sessions.
        component: of their sessions.
        exit_code: the events' own.
        failed: only errors, and what ended with another exit code than 0.
        archived: those of archived sessions too.
    """

    since: datetime | None = None
    until: datetime | None = None
    session_type: str = ""
    user: str = ""
    host: str = ""
    component: str = ""
    exit_code: int | None = None
    failed: bool = False
    archived: bool = False

    def source(self, *, archive: bool) -> Condition | None:
        """What stands after FROM; None: every event of the index.

        Args:
            archive: whether there are archived sessions.
        """
        wanted = within("entries.timestamp", self.since, self.until)
        if self.exit_code is not None:
            wanted &= Condition("entries.exit_code = ?", (self.exit_code,))
        if self.failed:
            wanted &= Condition("entries.failed")
        of_sessions = {
            "session_type": self.session_type,
            '"user"': self.user,
            "host": self.host,
            "component": self.component,
        }
        asked = {column: value for column, value in of_sessions.items() if value}
        for column, value in asked.items():
            wanted &= Condition(f"sessions.{column} = ?", (value,))
        join = ""
        if asked:
            sessions = ALL_SESSIONS if self.archived else "sessions"
            join = f"JOIN {sessions} AS sessions USING (session_id)"
        elif archive and not self.archived:
            join = "ANTI JOIN archived_sessions USING (session_id)"
        if not join and wanted == ALL:
            return None
        sql = f"search_events AS entries {join} WHERE text_id IS NOT NULL AND {wanted.sql}"
        return Condition(sql, wanted.parameters)


@dataclass(frozen=True, slots=True)
class Found:
    """The events behind one text: how many, and the newest of them."""

    occurrences: int
    newest: int
    event_ids: list[str]


def texts_by_id(database: Database, text_ids: Collection[int]) -> dict[int, str]:
    """Texts by their ids."""
    with database.reading() as connection, given_ids(connection, text_ids):
        rows = connection.execute(
            "SELECT text_id, text FROM search_texts WHERE text_id IN (SELECT text_id FROM given)"
        ).fetchall()
    return dict(rows)


def permitted_texts(database: Database, wanted: SearchFilter) -> NDArray[np.int64] | None:
    """The texts of the events that a filter lets through; None: all."""
    source = wanted.source(archive=_has_archive(database))
    if source is None:
        return None
    with database.reading() as connection:
        found = connection.execute(
            f"SELECT DISTINCT text_id FROM {source.sql}",  # noqa: S608 -- texts are parameters
            source.parameters,
        ).fetchnumpy()
    return np.asarray(found["text_id"], np.int64)


def events_behind(
    database: Database, text_ids: Collection[int], wanted: SearchFilter, newest: int
) -> dict[int, Found]:
    """The events behind texts, by text; texts of which no event passes the filter are left out.

    Args:
        database: where to look.
        text_ids: the texts.
        wanted: the filter.
        newest: events of each text that are named, newest first.
    """
    source = wanted.source(archive=_has_archive(database)) or Condition(
        "search_events AS entries WHERE TRUE"
    )
    with database.reading() as connection, given_ids(connection, text_ids):
        rows = connection.execute(
            "SELECT text_id, count(*), epoch_us(max(entries.timestamp)),"  # noqa: S608
            " max_by(event_id, entries.timestamp, ?)"
            f" FROM {source.sql} AND text_id IN (SELECT text_id FROM given) GROUP BY text_id",
            [newest, *source.parameters],
        ).fetchall()
    return {text_id: Found(*values) for text_id, *values in rows}


def neighbours(
    database: Database,
    event_ids: Collection[str],
    session_ids: Collection[str],
    distance: int,
    *,
    archived: bool,
) -> dict[str, Around]:
    """The events before and after each of these events.

    Args:
        database: where to look.
        event_ids: the events.
        session_ids: the sessions that they are of.
        distance: how many on each side.
        archived: whether some of the sessions may be archived.
    """
    if not distance or not event_ids:
        return {event_id: ([], []) for event_id in event_ids}
    before = [f"lag(event_id, {steps}) OVER session" for steps in range(distance, 0, -1)]
    after = [f"lead(event_id, {steps}) OVER session" for steps in range(1, distance + 1)]
    query = _NEIGHBOURS.format(
        neighbours=", ".join([*before, *after]),
        events=ALL_EVENTS if archived else "session_events",
        marks=", ".join("?" * len(session_ids)),
    )
    return {
        event_id: (_there(around[:distance]), _there(around[distance:]))
        for event_id, *around in database.query(query, [*session_ids, list(event_ids)])
    }


def _there(event_ids: Sequence[str | None]) -> list[str]:
    return [event_id for event_id in event_ids if event_id is not None]


def _has_archive(database: Database) -> bool:
    return bool(database.query("SELECT 1 FROM archived_sessions LIMIT 1"))
