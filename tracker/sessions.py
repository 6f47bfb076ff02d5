"""The one service layer of the tracker: HTTP, MCP and the command line all call it.

Knows what sessions are and when to do what; how rows are kept is the store's business, and how
requests look is the faces'.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from schemas.moments import parse_range
from schemas.release import version
from schemas.session import Session, StoredEvent
from tracker.life import LifeTrace
from tracker.maintenance import Maintenance
from tracker.search.finder import SearchRequest
from tracker.search.search import Search
from tracker.session_pages import SessionPages
from tracker.store import probes, queries
from tracker.store.analytics import analyse
from tracker.store.backup import back_up, named_folder
from tracker.store.ballast import with_room
from tracker.store.database import OPEN_WAIT, Database
from tracker.store.faults import reason_of
from tracker.store.filters import EventFilter, SessionFilter
from tracker.store.ingest import Ingest, store_property
from tracker.store.known_ids import KnownIds
from tracker.store.liveness import mark_abandoned
from tracker.store.migrations import MIGRATIONS
from tracker.store.projection import project_again
from tracker.store.rows import event_rows
from tracker.store.search_hits import SearchFilter
from tracker.store.totals import LAST_BACKUP, LAST_VERIFIED_BACKUP, read_totals
from tracker.store.writer import Writer
from tracker.web.tracing import commit_followed, traced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from duckdb import DuckDBPyConnection

    from schemas.analytics import SessionAnalytics
    from schemas.backup import Manifest
    from schemas.emitted import EmittedEvent
    from schemas.health import Probe
    from schemas.search import IndexProgress, SearchAnswer
    from schemas.session import Event, IngestAnswer
    from schemas.settings import Settings
    from tracker.search.latency import Durations
    from tracker.store.migrations import Migration, StoredSchema
    from tracker.store.rows import EventRow
    from tracker.store.totals import Totals
    from tracker.store.work import Answerable

    Result = TypeVar("Result")

ROLE = "session-buddy"
SILENT_CHECKPOINTS = 3
"""Checkpoints that a session may miss before it counts as abandoned."""

_log = structlog.get_logger("sessions")


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some sessions, how many there are in all, and a cursor for what follows; None: nothing."""

    sessions: list[Session]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, and a cursor for what follows; None: nothing does."""

    events: list[StoredEvent]
    next: str | None


class SessionService:
    """Sessions and their events, kept in one database that this process owns.

    Args:
        database: the open database; closed with the service.
        settings: the settings in force.
        behind: sessions lag behind their events; it is tried again to make up for that.
    """

    def __init__(self, database: Database, settings: Settings, *, behind: bool = False) -> None:
        self.settings = settings
        self._database = database
        self._life = LifeTrace(on=settings.flag("mahavishnu.trace_sessions"))
        known = KnownIds()
        self._stored = Ingest(
            known,
            self._told,
            project=self._life.project,
            at_once=self._life.on,
            brought_back=self._life.brought_back,
            behind=behind,
        )
        self._writer = Writer(database, self._stored)
        database.before_reading = self._writer.settled
        self._pages: SessionPages[SessionPage] = SessionPages(
            settings.count("session_buddy.cache_size"), lambda: self._writer.version
        )
        self._search = Search(database, self._writer, settings)
        self.maintenance = Maintenance(
            database,
            self._writer,
            self._paused,
            settings.places,
            self._search.disturbed,
            self._life,
        )
        self._one_backup = threading.Lock()
        self._copying = False
        self._loading = threading.Thread(target=known.load, args=(database,), daemon=True)
        self._loading.start()

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        wait: float = OPEN_WAIT,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> SessionService:
        """Open the database that the settings name.

        Args:
            settings: the settings in force.
            wait: seconds to wait for another process that has it.
            migrations: the schema's steps.

        Raises:
            Busy: another process has it open.
            InvalidInput: it cannot be kept there, or is from a newer release.
            SessionopsError: it is damaged, or could not be backed up before a migration.
        """
        path = settings.database

        def backup_first(connection: DuckDBPyConnection, stored: StoredSchema) -> None:
            def paused(work: Callable[[DuckDBPyConnection], Result]) -> Result:
                return work(connection)

            reason = f"before the migration of schema {stored.version}"
            back_up(path, settings.places.backups, paused, reason=reason, release=version())

        database = Database.open(
            path,
            role=ROLE,
            release=version(),
            wait=wait,
            migrations=migrations,
            before_migration=backup_first,
        )
        behind = database.crashed and not _made_up_for(database)
        database.ballast.keep()
        return cls(database, settings, behind=behind)

    def ingest(self, events: Sequence[Event | EmittedEvent]) -> Future[IngestAnswer]:
        """Store events; the result is there when they are on disk.

        Raises:
            InvalidInput: a time or a number in an event cannot be right; nothing was stored.
            QueueFull: too much is waiting already; nothing was taken.
        """
        future: Future[IngestAnswer] = Future()
        self.ingest_for(future, events)
        return future

    def ingest_for(self, waiting: Answerable, events: Sequence[Event | EmittedEvent]) -> None:
        """Store events as ``ingest`` does, and tell someone else than a future."""
        rows = event_rows(events, datetime.now(UTC))
        followed = commit_followed(waiting, len(rows), lambda: self._writer.last_commit)
        self._writer.enqueue(rows, followed)

    @traced("sessions.list")
    def list_sessions(
        self,
        wanted: SessionFilter | None = None,
        *,
        limit: int = 100,
        offset: int = 0,
        cursor: str = "",
    ) -> SessionPage:
        """Sessions, newest first.

        Args:
            wanted: which ones; None: all that are not archived.
            limit: sessions at the most.
            offset: how many to skip, after the cursor if there is one.
            cursor: the ``next`` of an earlier page.

        Raises:
            InvalidInput: an unknown status, a page out of bounds, or a made-up cursor.
        """
        wanted = wanted or SessionFilter()

        def read() -> SessionPage:
            records, total, further = queries.list_sessions(
                self._database, wanted, limit=limit, offset=offset, cursor=cursor
            )
            return SessionPage([Session(**record) for record in records], total, further)

        return self._pages.get((wanted, limit, offset, cursor), read)

    @traced("sessions.get")
    def get_session(self, session_id: str) -> Session:
        """One session.

        Raises:
            NotFound: there is none with this id.
        """
        return Session(**queries.get_session(self._database, session_id))

    @traced("events.list")
    def list_events(self, session_id: str, *, limit: int = 100, after: str = "") -> EventPage:
        """Events of a session in the order of their times.

        Raises:
            NotFound: neither the session nor an event of it is stored.
            InvalidInput: a page out of bounds, or a cursor that no answer has given.
        """
        records, further = queries.list_events(self._database, session_id, limit=limit, after=after)
        return EventPage([StoredEvent(**record) for record in records], further)

    @traced("events.newest")
    def newest_events(
        self, wanted: EventFilter | None = None, *, limit: int = 100, cursor: str = ""
    ) -> EventPage:
        """Events of all sessions, newest first.

        Raises:
            InvalidInput: an unknown type, a page out of bounds, or a made-up cursor.
        """
        records, further = queries.newest_events(
            self._database, wanted or EventFilter(), limit=limit, cursor=cursor
        )
        return EventPage([StoredEvent(**record) for record in records], further)

    @traced("search")
    def search(
        self,
        query: str,
        *,
        search_type: str = "",
        wanted: SearchFilter | None = None,
        limit: int = 20,
        context: int = 1,
        repeats: bool = False,
    ) -> SearchAnswer:
        """What was done, said or failed in sessions, best first.

        Args:
            query: words, or a sentence.
            search_type: ``semantic``, ``text`` or ``hybrid``; empty: hybrid if there is a model.
            wanted: which events.
            limit: hits at the most.
            context: events before and after each hit that come with it.
            repeats: every event with a text that was found is a hit, not only the newest.

        Raises:
            InvalidInput: an empty query, an unknown type, a number out of bounds.
            SemanticUnavailable: meaning is asked for, and there is no model that works.
        """
        wanted = wanted or SearchFilter()
        return self._search.find(SearchRequest(query, search_type, wanted, limit, context, repeats))

    def reindex(self, *, from_scratch: bool = False) -> IndexProgress:
        """Bring what is missing into the search index, or make it anew; goes on behind this."""
        self._search.reindex(from_scratch=from_scratch)
        return self.index_progress()

    def index_progress(self) -> IndexProgress:
        """How far the search index has come."""
        return self._search.progress()

    def search_times(self) -> dict[str, Durations]:
        """How long searches took since the service was opened, by type."""
        return self._search.times.by_type()

    @traced("analytics")
    def analytics(self, span: str = "7d", *, zone: str = "UTC") -> SessionAnalytics:
        """Numbers over the sessions that began in a range that ends now, archived ones too.

        Args:
            span: how long the range is, such as ``30d``.
            zone: the time zone of days and hours, by its IANA name.

        Raises:
            InvalidInput: not a duration, a range that is empty or too long, or an unknown zone.
        """
        now = datetime.now(UTC)
        return analyse(self._database, parse_range(span, now), now, zone)

    def totals(self) -> Totals:
        """What the metrics count, read now."""
        return read_totals(self._database, self._writer)

    def probes(self) -> tuple[Probe, ...]:
        """What of the store works, found out by using it."""
        return (
            probes.database_probe(self._database),
            probes.tracking_probe(
                self._writer,
                wanted=self.settings.flag("mahavishnu.session.enabled"),
                copying=self._copying,
            ),
            probes.disk_probe(self._database.path.parent),
            self._search.probe(),
        )

    @property
    def silence(self) -> timedelta:
        """How long a session may be silent before it counts as abandoned."""
        interval = self.settings.count("mahavishnu.session.checkpoint_interval")
        return timedelta(seconds=SILENT_CHECKPOINTS * interval)

    def mark_abandoned(self, now: datetime) -> list[str]:
        """Mark the sessions that have been silent for too long.

        Args:
            now: the server's clock.

        Returns:
            The ids of the sessions that were marked now.
        """
        silent_since = now - self.silence
        marked = self._writer.call(lambda writing: mark_abandoned(writing, silent_since)).result()
        self._life.abandoned(marked)
        for session_id in marked:
            _log.info("session abandoned", session_id=session_id)
        return marked

    @traced("backup")
    def backup(self, directory: str | None = None, *, reason: str = "requested") -> Manifest:
        """Make a backup while events go on being taken. A second one waits for the first.

        Args:
            directory: an absolute path; None: the tracker's own backup folder.
            reason: why, for the manifest.

        Raises:
            InvalidInput: no folder that can be written to is there, or can be made there.
            SessionopsError: no backup was made.
        """
        target = named_folder(directory) if directory else self.settings.places.backups
        with self._one_backup:
            manifest = back_up(
                self._database.path, target, self._paused, reason=reason, release=version()
            )
        verified = datetime.now(UTC).isoformat(timespec="milliseconds")

        def note(writing: DuckDBPyConnection) -> None:
            store_property(writing, LAST_BACKUP, manifest.created_at)
            store_property(writing, LAST_VERIFIED_BACKUP, verified)

        self._writer.call(note).result()
        _log.info("backup made", name=manifest.name, events=manifest.events, bytes=manifest.size)
        return manifest

    def close(self) -> None:
        """Store what is waiting and give the database back. Doing it twice is allowed."""
        self._loading.join()
        self._search.close()
        self._writer.close()
        with suppress(OSError):
            self._database.leave_behind(behind=self._stored.unsettled > 0)
        self._database.close()

    def _told(self, rows: Sequence[EventRow], new: set[str]) -> None:
        self._search.offer(rows, new)

    def _paused(self, work: Callable[[DuckDBPyConnection], Result]) -> Result:
        self._copying = True
        try:
            return self._writer.call(work).result()
        finally:
            self._copying = False


def _made_up_for(database: Database) -> bool:
    """Make the sessions anew that a crash has left behind their events; whether it was done."""
    try:
        anew = with_room(database.ballast, lambda: project_again(database.writing))
    except Exception as error:  # noqa: BLE001 -- the events can be read; the writer tries again
        _log.error("sessions lag behind their events", reason=reason_of(error))
        return False
    _log.info("opened after a crash", sessions_made_anew=anew)
    return True
