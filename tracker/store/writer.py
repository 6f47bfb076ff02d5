"""The one thread that writes: requests queue up, one transaction stores all that are waiting.

A commit waits for the disk, so storing together what arrived meanwhile is what makes ingest fast.
Each request is answered after the commit that holds its events. Knows nothing of what is stored.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from schemas.errors import Busy, SessionopsError
from schemas.session import IngestAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duckdb import DuckDBPyConnection

    from tracker.store.rows import EventRow

GROUP_EVENTS = 20_000
"""Events in one transaction at the most, so that none takes seconds."""

QUEUE_BYTES = 64_000_000
"""Memory that waiting events may take; beyond it requests are refused, to be sent again."""

Result = TypeVar("Result")

_log = structlog.get_logger("store")


class QueueFull(Busy):
    """More events are waiting than the server wants to hold in memory."""


@dataclass(slots=True)
class WriterStatistics:
    """What the writer did since it started."""

    accepted: int = 0
    duplicates: int = 0
    failed: int = 0
    commits: int = 0
    last_error: str = ""
    """Why the last group was not stored; empty: it was."""


@dataclass(slots=True)
class _Request:
    rows: Sequence[EventRow]
    size: int
    future: Future[IngestAnswer] = field(default_factory=Future)


@dataclass(slots=True)
class _Job(Generic[Result]):
    work: Callable[[DuckDBPyConnection], Result]
    future: Future[Result] = field(default_factory=Future)


class Writer:
    """Writes to one database, one group after the other.

    Args:
        connection: used by no one else from now on.
        store: stores a group in one transaction and returns the ids that were new.
        queue_bytes: memory that waiting events may take.
    """

    def __init__(
        self,
        connection: DuckDBPyConnection,
        store: Callable[[DuckDBPyConnection, Sequence[EventRow]], set[str]],
        *,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self.statistics = WriterStatistics()
        self._connection = connection
        self._store = store
        self._queue_bytes = queue_bytes
        self._waiting: deque[_Request | _Job[Any]] = deque()
        self._waiting_bytes = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        """Memory that waiting events take, about."""
        return self._waiting_bytes

    def submit(self, rows: Sequence[EventRow]) -> Future[IngestAnswer]:
        """Store events; the result is there after their commit.

        Raises:
            QueueFull: too much is waiting already; nothing was taken.
            Busy: the writer is closed.
        """
        request = _Request(rows, sum(row.size for row in rows))
        with self._changed:
            # A request larger than the whole queue is still taken when nothing else waits.
            if self._waiting_bytes and self._waiting_bytes + request.size > self._queue_bytes:
                raise QueueFull("too many events are waiting to be stored", hint="send them again")
            self._waiting_bytes += request.size
            self._put(request)
        return request.future

    def call(self, work: Callable[[DuckDBPyConnection], Result]) -> Future[Result]:
        """Do something else with the writer's connection, between two groups.

        Nothing is written while it runs.

        Raises:
            Busy: the writer is closed.
        """
        job = _Job(work)
        with self._changed:
            self._put(job)
        return job.future

    def close(self) -> None:
        """Store what is waiting, then stop. Doing it twice is allowed."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _put(self, item: _Request | _Job[Any]) -> None:
        if self._closed:
            raise Busy("the tracker is stopping", hint="send the events again in a moment")
        self._waiting.append(item)
        self._changed.notify()

    def _run(self) -> None:
        while True:
            taken = self._take()
            if taken is None:
                return
            if isinstance(taken, _Job):
                _do(taken, self._connection)
            else:
                self._commit(taken)

    def _take(self) -> _Job[Any] | list[_Request] | None:
        """A job, or all the requests that wait before the next job; None: closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            first = self._waiting.popleft()
            if isinstance(first, _Job):
                return first
            group, events = [first], len(first.rows)
            while self._waiting and events < GROUP_EVENTS:
                if isinstance(self._waiting[0], _Job):
                    break
                request = self._waiting.popleft()
                assert isinstance(request, _Request)  # noqa: S101 -- a deque is not narrowed
                group.append(request)
                events += len(request.rows)
            self._waiting_bytes -= sum(request.size for request in group)
            return group

    def _commit(self, group: list[_Request]) -> None:
        group = [request for request in group if request.future.set_running_or_notify_cancel()]
        if not group:
            return
        try:
            new = self._store(self._connection, [row for request in group for row in request.rows])
        except Exception as error:  # noqa: BLE001 -- it is handed to those who wait for it
            self._commit_one_by_one(group, error)
            return
        self._answer(group, new)

    def _commit_one_by_one(self, group: list[_Request], error: Exception) -> None:
        """A group failed: find out whose fault it was, so that the others do not suffer."""
        if len(group) == 1:
            self._fail(group[0], error)
            return
        for request in group:
            try:
                new = self._store(self._connection, request.rows)
            except Exception as own_error:  # noqa: BLE001 -- it is handed to who waits for it
                self._fail(request, own_error)
            else:
                self._answer([request], new)

    def _answer(self, group: list[_Request], new: set[str]) -> None:
        self.statistics.commits += 1
        self.statistics.last_error = ""
        for request in group:
            accepted = 0
            for row in request.rows:
                if row.event_id in new:
                    new.remove(row.event_id)
                    accepted += 1
            duplicates = len(request.rows) - accepted
            self.statistics.accepted += accepted
            self.statistics.duplicates += duplicates
            request.future.set_result(IngestAnswer(accepted=accepted, duplicates=duplicates))

    def _fail(self, request: _Request, error: Exception) -> None:
        self.statistics.failed += len(request.rows)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        self.statistics.last_error = reason
        _log.error("events not stored", events=len(request.rows), reason=reason)
        failure = SessionopsError(
            f"the events were not stored: {reason}", hint="see what session-buddy health says"
        )
        failure.__cause__ = error
        request.future.set_exception(failure)


def _do(job: _Job[Result], connection: DuckDBPyConnection) -> None:
    if not job.future.set_running_or_notify_cancel():
        return
    try:
        result = job.work(connection)
    except Exception as error:  # noqa: BLE001 -- it is handed to who waits for it
        job.future.set_exception(error)
    else:
        job.future.set_result(result)
