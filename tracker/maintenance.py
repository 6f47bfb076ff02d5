"""What keeps the store in order: archive, deletion, export, and a look inside.

A part of the service layer; ``tracker.sessions`` holds one. Who may do what is the faces' business.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from schemas.errors import InvalidInput, SessionopsError
from schemas.store import Archived, Check, Compaction, Deletion
from tracker.pruning import Pruning
from tracker.store import archive, compaction, deletion, export
from tracker.store.adhoc import Adhoc
from tracker.store.inspection import inspect
from tracker.store.integrity import check_database
from tracker.web import audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duckdb import DuckDBPyConnection

    from schemas.places import Places
    from schemas.store import Inspection, Pruned, QueryAnswer
    from tracker.life import LifeTrace
    from tracker.store.archive import Moved
    from tracker.store.backup import Paused
    from tracker.store.database import Database
    from tracker.store.filters import EventFilter, SessionFilter
    from tracker.store.writer import Writer

MOST_DAYS = 36_500

_log = structlog.get_logger("maintenance")


class Maintenance:
    """Operates one database that is in use.

    Args:
        database: the database.
        writer: writes into it.
        paused: runs something with the writer's connection and says that events wait meanwhile.
        places: the deployment, for its audit log.
        removed: called in the writer's thread when events were removed or changed.
        life: traces what becomes of sessions.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        paused: Paused,
        places: Places,
        removed: Callable[[], object],
        life: LifeTrace,
    ) -> None:
        self._database = database
        self._writer = writer
        self._paused = paused
        self._places = places
        self._removed = removed
        self._life = life
        self._adhoc = Adhoc(database.path, paused)
        self._pruning = Pruning(database, writer, places, removed, self.compact)
        self._one_at_a_time = threading.Lock()

    def archive(self, days: int, *, dry_run: bool = False) -> Archived:
        """Move old sessions into the archive, a batch at a time; events go on being taken.

        Args:
            days: sessions that ended this many days ago are old.
            dry_run: only count them.

        Raises:
            InvalidInput: days out of bounds.
            DiskFull: there is no room; what was moved before is in the archive.
        """
        if not 1 <= days <= MOST_DAYS:
            raise InvalidInput(f"days is a number from 1 to {MOST_DAYS}, not {days}")
        before = datetime.now(UTC) - timedelta(days=days)
        if dry_run:
            with self._database.reading() as connection:
                found = archive.archivable(connection, before)
            return Archived(
                sessions=found.sessions, events=found.events, before=before, dry_run=True
            )
        sessions = events = 0
        with self._one_at_a_time:
            while (moved := self._archive_batch(before)).sessions:
                sessions += moved.sessions
                events += moved.events
                self._life.archived(moved.session_ids)
        _log.info("sessions archived", sessions=sessions, events=events, days=days)
        return Archived(sessions=sessions, events=events, before=before, dry_run=False)

    def delete_session(self, session_id: str, *, actor: str) -> Deletion:
        """Delete a session and everything that is stored of it, archived or not.

        What still arrives of it is thrown away. Backups that were made before keep it.

        Args:
            session_id: the session, or one of which only events have arrived.
            actor: who wants it, for the audit log.

        Raises:
            NotFound: nothing is stored of it.
            SessionopsError: the audit log cannot be written; nothing was deleted.
        """

        def note(deleted: deletion.Deleted) -> None:
            audit.record(
                self._places,
                actor=actor,
                action="session.delete",
                subject=session_id,
                events=deleted.events,
            )

        def work(connection: DuckDBPyConnection) -> deletion.Deleted:
            deleted = deletion.delete_session(connection, session_id, note)
            self._removed()
            return deleted

        try:
            deleted = self._writer.call(work).result()
        except OSError as error:
            raise SessionopsError(
                f"the audit log cannot be written, so nothing was deleted: {error.strerror}",
                where=str(audit.audit_file(self._places)),
            ) from error
        self._life.deleted(session_id)
        _log.info("session deleted", session_id=session_id, events=deleted.events, actor=actor)
        return Deletion(session_id=session_id, sessions=deleted.sessions, events=deleted.events)

    def export_sessions(self, wanted: SessionFilter, form: export.Format) -> Iterator[bytes]:
        """Sessions as pieces of a file, oldest first.

        Raises:
            InvalidInput: the filter cannot be answered.
        """
        return export.export_sessions(self._database, wanted, form)

    def export_events(self, wanted: EventFilter, form: export.Format) -> Iterator[bytes]:
        """Events as pieces of a file, oldest first.

        Raises:
            InvalidInput: the filter cannot be answered.
        """
        return export.export_events(self._database, wanted, form)

    def inspect(self) -> Inspection:
        """The database file and what is in it."""
        return inspect(self._database)

    def check(self) -> Check:
        """Whether everything that is stored can be read and fits together."""
        with self._database.reading() as connection:
            findings = check_database(connection)
        sound = all(finding.ok for finding in findings)
        if not sound:
            wrong = [finding.problem for finding in findings if not finding.ok]
            _log.error("database is not sound", problems="; ".join(wrong))
        return Check(path=str(self._database.path), ok=sound, findings=findings)

    def compact(self) -> Compaction:
        """Write the database anew without the room that removed rows have left; events wait.

        Raises:
            DiskFull: there is no room for both files at a time.
            SessionopsError: it failed; the database is as it was.
        """
        done = self._paused(lambda _: compaction.compact(self._database))
        _log.info("database compacted", before=done.before, after=done.after)
        return Compaction(before=done.before, after=done.after)

    def prune(self, *, apply: bool, after: str, actor: str) -> Pruned:
        """Mask what today's patterns find, a piece at a time. See ``tracker.pruning``."""
        return self._pruning.prune(apply=apply, after=after, actor=actor)

    def query(self, sql: str, *, rows: int, seconds: int) -> QueryAnswer:
        """Run SQL that somebody wrote, on a copy, within bounds. See ``tracker.store.adhoc``."""
        return self._adhoc.query(sql, rows=rows, seconds=seconds)

    def _archive_batch(self, before: datetime) -> Moved:
        return self._writer.call(
            lambda connection: archive.archive_batch(connection, before)
        ).result()
