"""What the writer is asked to do, and what it tells of itself."""

from __future__ import annotations

from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duckdb import DuckDBPyConnection

    from schemas.session import IngestAnswer
    from tracker.store.rows import EventRow

Result = TypeVar("Result")


@dataclass(slots=True)
class WriterStatistics:
    """What the writer did since it started."""

    accepted: int = 0
    duplicates: int = 0
    failed: int = 0
    commits: int = 0
    last_error: str = ""
    """Why the last group was not stored; empty: it was."""
    disk_full: bool = False
    """Whether that was for want of room."""

    def working(self) -> None:
        """Something was stored."""
        self.last_error, self.disk_full = "", False


class Answerable(Protocol):
    """Who waits for an answer: a future, or something like one."""

    def set_running_or_notify_cancel(self) -> bool:
        """Whether anybody still waits."""

    def set_result(self, result: IngestAnswer, /) -> None:
        """Answer."""

    def set_exception(self, error: Exception, /) -> None:
        """Fail."""


@dataclass(slots=True)
class Request:
    """Events to store, who waits for it, and on whose behalf: log lines name the request by it.

    The size is bytes in memory, about.
    """

    rows: Sequence[EventRow]
    size: int
    future: Answerable
    context: Context = field(default_factory=copy_context)


@dataclass(slots=True)
class Job(Generic[Result]):
    """Anything else to do with the writer's connection, who waits for it, on whose behalf."""

    work: Callable[[DuckDBPyConnection], Result]
    apart: bool = False
    """Whether it leaves sessions and events alone, and needs nothing settled."""
    writes: bool = True
    future: Future[Result] = field(default_factory=Future)
    context: Context = field(default_factory=copy_context)
