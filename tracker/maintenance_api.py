"""The operations of archive, deletion, export and database: the service's answers in HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import StreamingResponse

from schemas.errors import NotFound
from schemas.numbers import Whole
from schemas.session import Message, Session, StoredEvent
from schemas.store import (
    Archived,
    Check,
    Compaction,
    Deletion,
    Inspection,
    Pruned,
    QueryAnswer,
)
from tracker.maintenance import MOST_DAYS
from tracker.session_parameters import OneSession, SessionParameters, events_of_sessions
from tracker.store.adhoc import LONGEST_SECONDS, LONGEST_SQL, MOST_ROWS
from tracker.store.export import Format
from tracker.web.operations import Answer, Call, Operation, Sent

if TYPE_CHECKING:
    from starlette.responses import Response

    from tracker.maintenance import Maintenance

_MEDIA = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
ROWS = 1_000
SECONDS = 10


class ArchiveRequest(Message):
    """Which sessions are old."""

    days: Annotated[int, Whole(1, MOST_DAYS)] = Field(
        description="those that ended this many days ago"
    )
    dry_run: bool = Field(False, strict=True, description="only count them")


class PruneRequest(Message):
    """Whether to mask what is found, and where to begin."""

    apply: bool = Field(strict=True, description="mask it; otherwise it is only counted")
    after: Annotated[str, StringConstraints(pattern=r"^(file|(sessions|events):.{0,64})?$")] = (
        Field("", description="the `next` of the call before; empty: from the beginning")
    )


class QueryRequest(Message):
    """SQL that only reads, and its bounds."""

    sql: Annotated[str, StringConstraints(max_length=LONGEST_SQL, pattern=r"[^\s\x00-\x1f]")]
    limit: Annotated[int, Whole(1, MOST_ROWS)] = Field(ROWS, description="rows at the most")
    seconds: Annotated[int, Whole(1, LONGEST_SECONDS)] = Field(
        SECONDS, description="how long it may take"
    )


class Exported(BaseModel):
    """The part of a path that names what is exported."""

    what: Literal["sessions", "events"]


class ExportParameters(SessionParameters):
    """Of which sessions, and as what."""

    format: Format = "jsonl"


class MaintenanceApi:
    """The operations. Plain methods block, so they run in threads.

    Args:
        maintenance: the part of the service layer that they ask.
    """

    def __init__(self, maintenance: Maintenance) -> None:
        self._maintenance = maintenance

    def operations(self) -> list[Operation]:
        """What can be asked."""
        return [
            Operation(
                method="POST",
                path="/api/v1/archive",
                handler=self.archive_sessions,
                scopes=("operate",),
                body=Sent(ArchiveRequest, example={"days": 90, "dry_run": True}),
                answer=Answer("what was moved", Archived),
                refusals=(423, 507),
            ),
            Operation(
                method="POST",
                path="/api/v1/prune",
                handler=self.prune,
                scopes=("admin",),
                body=Sent(PruneRequest, example={"apply": False}),
                answer=Answer("what was found, and where to go on", Pruned),
                refusals=(423, 507),
                notes="A call does about a second's work. Backups that were made before keep the "
                "old texts.",
            ),
            Operation(
                method="DELETE",
                path="/api/v1/sessions/{session_id}",
                handler=self.delete_session,
                scopes=("admin",),
                parts=OneSession,
                answer=Answer("what was deleted", Deletion),
                refusals=(423, 507),
                notes="Backups that were made before keep it.",
            ),
            Operation(
                method="GET",
                path="/api/v1/export/{what}",
                handler=self.export,
                scopes=("read",),
                parts=Exported,
                query=ExportParameters,
                answer=Answer(
                    "a session or an event a line, oldest first",
                    lines=Session | StoredEvent,
                    media=("application/x-ndjson", "text/csv"),
                ),
            ),
            Operation(
                method="GET",
                path="/api/v1/database",
                handler=self.inspect_database,
                scopes=("read",),
                answer=Answer("the file, its tables and indexes", Inspection),
            ),
            Operation(
                method="POST",
                path="/api/v1/database/check",
                handler=self.check_database,
                scopes=("operate",),
                answer=Answer("what was found", Check),
            ),
            Operation(
                method="POST",
                path="/api/v1/database/compact",
                handler=self.compact_database,
                scopes=("operate",),
                answer=Answer("its size before and after", Compaction),
                refusals=(423, 507),
            ),
            Operation(
                method="POST",
                path="/api/v1/database/query",
                handler=self.query_database,
                scopes=("operate",),
                body=Sent(
                    QueryRequest,
                    example={"sql": "SELECT status, count(*) FROM sessions GROUP BY ALL"},
                ),
                answer=Answer("the rows", QueryAnswer),
                refusals=(423, 507),
                notes="It runs on a copy, without files and network. SQL that cannot be run is "
                "a 400 too.",
            ),
        ]

    def archive_sessions(self, call: Call[Any, ArchiveRequest]) -> Archived:
        """Move old sessions into the archive, or count them."""
        return self._maintenance.archive(call.body.days, dry_run=call.body.dry_run)

    def delete_session(self, call: Call[Any, None]) -> Deletion:
        """Delete a session for good."""
        return self._maintenance.delete_session(call.path("session_id"), actor=call.subject)

    def prune(self, call: Call[Any, PruneRequest]) -> Pruned:
        """Mask in some of what is stored what looks like a secret, or count it."""
        asked = call.body
        return self._maintenance.prune(apply=asked.apply, after=asked.after, actor=call.subject)

    def export(self, call: Call[ExportParameters, None]) -> Response:
        """Sessions, or the events of sessions, as a file, sent while it is read."""
        asked, what = call.query, call.path("what")
        if what == "sessions":
            pieces = self._maintenance.export_sessions(asked.filter(), asked.format)
        elif what == "events":
            pieces = self._maintenance.export_events(events_of_sessions(asked), asked.format)
        else:
            raise NotFound(f"there is no {what[:50]!r} to export", hint="sessions or events")
        return StreamingResponse(pieces, headers={"Content-Type": _MEDIA[asked.format]})

    def inspect_database(self, _: Call[Any, None]) -> Inspection:
        """The database file and what is in it."""
        return self._maintenance.inspect()

    def check_database(self, _: Call[Any, None]) -> Check:
        """Whether the database is sound."""
        return self._maintenance.check()

    def compact_database(self, _: Call[Any, None]) -> Compaction:
        """Write the database anew; answered when it is done."""
        return self._maintenance.compact()

    def query_database(self, call: Call[Any, QueryRequest]) -> QueryAnswer:
        """The result of SQL that only reads."""
        asked = call.body
        return self._maintenance.query(asked.sql, rows=asked.limit, seconds=asked.seconds)
