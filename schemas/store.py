"""What operating the tracker's store answers: archive, deletion, and ``session-buddy db``."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from schemas.session import Message


class Archived(Message):
    """What was moved into the archive; after a dry run, what would be."""

    sessions: int
    events: int
    before: AwareDatetime = Field(description="sessions that ended before this time")
    dry_run: bool


class Deletion(Message):
    """What was deleted for good."""

    session_id: str
    sessions: int = Field(description="0: only events had arrived of it, and never its start")
    events: int


class TableFacts(Message):
    """A table of the database."""

    name: str
    rows: int
    columns: int
    size: int = Field(description="bytes in the file; small tables share blocks")


class IndexFacts(Message):
    """An index of the database."""

    name: str
    table: str
    columns: list[str]


class Inspection(Message):
    """The database file and what is in it."""

    path: str
    size: int = Field(description="bytes of the file")
    log_size: int = Field(description="bytes in its log that wait to be taken into the file")
    free: int = Field(description="bytes in the file that a compaction gives back")
    schema_version: int
    min_reader: str = Field(description="the lowest release that can work with the file")
    duckdb_version: str
    storage_version: str
    tables: list[TableFacts]
    indexes: list[IndexFacts]


class Finding(Message):
    """One thing that was checked."""

    check: str
    ok: bool
    problem: str = ""
    examples: list[str] = []
    hint: str = ""


class Check(Message):
    """Whether a database is sound."""

    path: str
    ok: bool
    findings: list[Finding]


class Compaction(Message):
    """Bytes of the database on disk before and after."""

    before: int
    after: int


class Pruned(Message):
    """What a piece of a prune found; where it was applied, that is masked now."""

    applied: bool
    seen: int = Field(description="sessions and events that were looked at")
    total: int = Field(description="sessions and events there are")
    sessions: int = Field(description="sessions that hold what looks like a secret")
    events: int
    patterns: dict[str, int] = Field(description="sessions and events, by the pattern they match")
    next: str | None = Field(description="'after' of the next request; null: all is done")
    unfinished: bool = Field(description="masked text may still be in the database file")
    compaction: Compaction | None = None
    backups: int = Field(description="in the tracker's own folder, whenever they were made")
    backups_in: str


class Column(Message):
    """A column of a query's result."""

    name: str
    type: str


class QueryAnswer(Message):
    """The result of a query; ``truncated``: there are more rows."""

    columns: list[Column]
    rows: list[list[Any]]
    truncated: bool
    seconds: float
