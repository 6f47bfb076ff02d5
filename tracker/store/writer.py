"""The one thread that writes: requests queue up, one transaction stores all that are waiting.

A commit waits for the disk, so storing together what arrived meanwhile is what makes ingest fast.
Each request is answered after the commit that holds its events; what follows from them is settled
when nothing else waits, at least every quarter of a second, and before anybody reads. When DuckDB
gives the file up, it is opened anew. Knows nothing of what is stored.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from schemas.errors import Busy, DiskFull, SessionopsError
from schemas.session import IngestAnswer
from tracker.store.ballast import with_room
from tracker.store.faults import is_disk_full, is_given_up, reason_of, understood
from tracker.store.work import Job, Request, WriterStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from duckdb import DuckDBPyConnection

    from tracker.store.ballast import Ballast
    from tracker.store.rows import EventRow
    from tracker.store.work import Answerable, Result

GROUP_EVENTS = 20_000
"""Events in one transaction at the most, so that none takes seconds."""

QUEUE_BYTES = 64_000_000
"""Memory that waiting events may take; beyond it requests are refused, to be sent again."""

IDLE_SECONDS = 0.02
"""Without a request, after which what is stored is settled."""

UNSETTLED_SECONDS = 0.25
"""For which settling is put off at the most while requests come without a pause."""

_SEE_HEALTH = "see what session-buddy health says"

_log = structlog.get_logger("store")


class QueueFull(Busy):
    """More events are waiting than the server wants to hold in memory."""


class Written(Protocol):
    """A database as its writer uses it."""

    @property
    def writing(self) -> DuckDBPyConnection:
        """The connection to write with; another one after ``reopen``."""

    def reopen(self) -> None:
        """Open the file anew."""

    @property
    def ballast(self) -> Ballast:
        """Room for what must be written."""

    def checkpoint_when_due(self) -> None:
        """Take the log into the file when it is long."""


class Stored(Protocol):
    """What is stored, as its writer uses it."""

    unsettled: int
    """Events that are stored and from which nothing has followed yet."""

    def store(self, connection: DuckDBPyConnection, rows: Sequence[EventRow]) -> set[str]:
        """Store a group in one transaction; the ids of the events that were new."""

    def settle(self, connection: DuckDBPyConnection) -> None:
        """Draw what follows from the events that were stored."""

    def disturbed(self) -> None:
        """A job has written something else."""


class Writer:
    """Writes to one database, one group after the other.

    Args:
        database: its connection to write with is used by no one else from now on.
        stored: takes in the events.
        queue_bytes: memory that waiting events may take.
    """

    def __init__(
        self,
        database: Written,
        stored: Stored,
        *,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self.statistics = WriterStatistics()
        self.version = 0
        """Another number as soon as anything was written, before whoever sent it is told."""
        self.last_commit = 0, 0
        """When the newest group began and ended to be stored, in nanoseconds since 1970."""
        self._database = database
        self._given_up = False
        self._stored = stored
        self._settled_at = time.monotonic()
        self._lag: Exception | None = None
        self._queue_bytes = queue_bytes
        self._waiting: deque[Request | Job[Any]] = deque()
        self._waiting_bytes = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        """Memory that waiting events take, about."""
        return self._waiting_bytes

    def enqueue(self, rows: Sequence[EventRow], waiting: Answerable) -> None:
        """Store events.

        Args:
            rows: the events.
            waiting: answered after their commit.

        Raises:
            QueueFull: too much is waiting already; nothing was taken.
            Busy: the writer is closed.
        """
        request = Request(rows, sum(row.size for row in rows), waiting)
        with self._changed:
            # A request larger than the whole queue is still taken when nothing else waits.
            if self._waiting_bytes and self._waiting_bytes + request.size > self._queue_bytes:
                raise QueueFull("too many events are waiting to be stored", hint="send them again")
            self._waiting_bytes += request.size
            self._put(request)

    def call(
        self, work: Callable[[DuckDBPyConnection], Result], *, apart: bool = False
    ) -> Future[Result]:
        """Do something else with the writer's connection, between two groups.

        Nothing is written while it runs.

        Args:
            work: what to do.
            apart: it leaves sessions and events alone; then it may come before these are settled.

        Raises:
            Busy: the writer is closed.
        """
        job = Job(work, apart, writes=not apart)
        with self._changed:
            self._put(job)
        return job.future

    def settled(self) -> None:
        """Wait until what follows from all the events that were acknowledged is stored too."""
        if not self._stored.unsettled or threading.current_thread() is self._thread:
            return
        job = Job(lambda _: None, writes=False)
        with self._changed:
            if self._closed:
                return
            self._waiting.appendleft(job)
            self._changed.notify()
        job.future.result()

    def close(self) -> None:
        """Store what is waiting, then stop. Doing it twice is allowed."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _put(self, item: Request | Job[Any]) -> None:
        if self._closed:
            raise Busy("the tracker is stopping", hint="send the events again in a moment")
        self._waiting.append(item)
        self._changed.notify()

    def _run(self) -> None:
        while True:
            taken = self._take()
            if taken is None:
                self._settle()
                return
            if isinstance(taken, Job):
                if not taken.apart:
                    self._settle()
                # What a job takes from the log into the file, copies or moves must be settled.
                self._do(taken, self._lag if taken.writes else None)
            elif taken:
                self._commit(taken)
            if not taken or time.monotonic() - self._settled_at > UNSETTLED_SECONDS:
                self._settle()

    def _take(self) -> Job[Any] | list[Request] | None:
        """A job, or all the requests that wait before the next job; None: closed and empty.

        No requests: it is time to settle.
        """
        with self._changed:
            patience = IDLE_SECONDS if self._stored.unsettled else None
            if self._lag is not None:
                patience = UNSETTLED_SECONDS
            self._changed.wait_for(lambda: self._waiting or self._closed, patience)
            if not self._waiting:
                return None if self._closed else []
            first = self._waiting.popleft()
            if isinstance(first, Job):
                return first
            group, events = [first], len(first.rows)
            while self._waiting and events < GROUP_EVENTS:
                if isinstance(self._waiting[0], Job):
                    break
                request = self._waiting.popleft()
                assert isinstance(request, Request)  # noqa: S101 -- a deque is not narrowed
                group.append(request)
                events += len(request.rows)
            self._waiting_bytes -= sum(request.size for request in group)
            return group

    def _commit(self, group: list[Request]) -> None:
        group = [request for request in group if request.future.set_running_or_notify_cancel()]
        if not group:
            return
        try:
            rows = [row for request in group for row in request.rows]
            # What is logged meanwhile is logged for this request, where there is only one.
            run = group[0].context.run if len(group) == 1 else Context().run
            new = run(self._store, rows)
        except Exception as error:  # noqa: BLE001 -- it is handed to those who wait for it
            self._given_up |= is_given_up(error)
            self._commit_one_by_one(group, error)
            return
        self._answer(group, new)

    def _store(self, rows: Sequence[EventRow]) -> set[str]:
        began = time.time_ns()
        try:
            return self._stored.store(self._connection(), rows)
        finally:
            self.last_commit = began, time.time_ns()

    def _commit_one_by_one(self, group: list[Request], error: Exception) -> None:
        """A group failed: find out whose fault it was, so that the others do not suffer."""
        if len(group) == 1 and not self._given_up:
            self._fail(group[0], error)
            return
        for request in group:
            try:
                new = request.context.run(self._store, request.rows)
            except Exception as own_error:  # noqa: BLE001 -- it is handed to who waits for it
                self._given_up |= is_given_up(own_error)
                self._fail(request, own_error)
            else:
                self._answer([request], new)

    def _answer(self, group: list[Request], new: set[str]) -> None:
        self.version += 1
        self.statistics.commits += 1
        if self.statistics.last_error:
            _log.info("events are stored again")
            self.statistics.working()
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

    def _fail(self, request: Request, error: Exception) -> None:
        self.statistics.failed += len(request.rows)
        reason, full = reason_of(error), is_disk_full(error)
        # Senders come back every second; a full disk must not be filled with the news of it.
        log = _log.debug if reason == self.statistics.last_error else _log.error
        request.context.run(log, "events not stored", events=len(request.rows), reason=reason)
        self.statistics.last_error, self.statistics.disk_full = reason, full
        kind = DiskFull if full else SessionopsError
        hint = "make room; senders keep their events meanwhile" if full else _SEE_HEALTH
        failure = kind(f"the events were not stored: {reason}", hint=hint)
        failure.__cause__ = error
        request.future.set_exception(failure)

    def _settle(self) -> None:
        if self._stored.unsettled:
            try:
                with_room(self._database.ballast, lambda: self._stored.settle(self._connection()))
            except Exception as error:  # noqa: BLE001 -- told here, once; the events are safe
                told = self._lag is not None and reason_of(error) == reason_of(self._lag)
                log = _log.debug if told else _log.error
                log("sessions lag behind their events", reason=reason_of(error))
                self._lag = error
                self._given_up |= is_given_up(error)
            else:
                # Lists that were read while they lagged are no longer true.
                self.version += self._lag is not None
                self._lag = None
        self._settled_at = time.monotonic()
        if not self._stored.unsettled:
            # Only now: a file whose log is empty is taken for one in which everything is settled.
            self._tidy()

    def _do(self, job: Job[Any], lag: Exception | None) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        if lag is not None:
            failure = SessionopsError(
                f"sessions lag behind their events: {reason_of(lag)}", hint=_SEE_HEALTH
            )
            job.future.set_exception(understood(lag) if is_disk_full(lag) else failure)
            return
        try:
            result = job.context.run(job.work, self._connection())
            self.version += job.writes
        except Exception as error:  # noqa: BLE001 -- it is handed to who waits for it
            self._given_up |= is_given_up(error)
            job.future.set_exception(understood(error))
        else:
            job.future.set_result(result)
        finally:
            if job.writes:
                self._stored.disturbed()

    def _connection(self) -> DuckDBPyConnection:
        """The connection to write with; of a file opened anew, if DuckDB has given it up."""
        if self._given_up:
            _log.warning("opening the database anew")
            self._database.reopen()
            self._given_up = False
        return self._database.writing

    def _tidy(self) -> None:
        try:
            self._database.checkpoint_when_due()
        except Exception as error:  # noqa: BLE001 -- what was committed is safe in the log
            _log.error("checkpoint failed", reason=reason_of(error))
            self._given_up |= is_given_up(error)
