"""The writer: what waits is stored together, and one bad request harms no other."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from pathlib import Path

import pytest
from tracker_events import NINE, make_event

from schemas.errors import Busy, SessionopsError
from tracker.store.ballast import Ballast
from tracker.store.rows import event_rows
from tracker.store.writer import QueueFull, Writer

WAIT = 30


class Disk:
    """Stands for the database: takes events in, counts the commits, fails when told to."""

    writing = None
    unsettled = 0

    def __init__(self):
        self.stored = []
        self.groups = []
        self.poison = "poison"

    def store(self, connection, rows):
        if any(row.event_id == self.poison for row in rows):
            raise OSError("No space left on device")
        new = {row.event_id for row in rows} - set(self.stored)
        self.stored += sorted(new)
        self.groups.append(len(rows))
        return new

    ballast = Ballast(Path("nowhere/sessions.db"))

    def settle(self, connection):
        pass

    def disturbed(self):
        pass

    def checkpoint_when_due(self):
        pass


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def writer(disk):
    writer = Writer(disk, disk, queue_bytes=10_000)
    yield writer
    writer.close()


@pytest.fixture
def hold(writer):
    """Keeps the writer busy until it is let go, so that requests pile up."""
    gate = threading.Event()
    writer.call(lambda _: gate.wait(WAIT))
    yield gate.set
    gate.set()


def submit(writer, rows):
    future = Future()
    writer.enqueue(rows, future)
    return future


def a_row(event_id, size=10):
    return event_rows([make_event("s", event_id=event_id, data={"text": "x" * size})], NINE)[0]


def test_what_waits_is_stored_in_one_commit(writer, disk, hold):
    requests = [submit(writer, [a_row(f"e{number}")]) for number in range(10)]
    hold()
    assert [request.result(WAIT).accepted for request in requests] == [1] * 10
    assert disk.groups == [10]
    assert writer.statistics.commits == 1


def test_each_request_is_told_what_became_of_its_own_events(writer, hold):
    first = submit(writer, [a_row("a"), a_row("b")])
    second = submit(writer, [a_row("b"), a_row("c")])
    hold()
    assert first.result(WAIT).model_dump() == {"accepted": 2, "duplicates": 0}
    assert second.result(WAIT).model_dump() == {"accepted": 1, "duplicates": 1}


def test_a_request_that_cannot_be_stored_takes_no_other_with_it(writer, disk, hold):
    good, bad, late = (submit(writer, [a_row(name)]) for name in ("a", "poison", "b"))
    hold()
    assert (good.result(WAIT).accepted, late.result(WAIT).accepted) == (1, 1)
    with pytest.raises(SessionopsError, match="not stored: No space left on device"):
        bad.result(WAIT)
    assert disk.stored == ["a", "b"]
    assert writer.statistics.failed == 1
    # It says so until something is stored again.
    disk.poison = ""
    assert submit(writer, [a_row("poison")]).result(WAIT).accepted == 1
    assert writer.statistics.last_error == ""


def test_too_much_is_refused_and_nothing_of_it_taken(writer, disk, hold):
    taken = submit(writer, [a_row("a", 5000)])
    with pytest.raises(QueueFull):
        submit(writer, [a_row("b", 5000)])
    hold()
    taken.result(WAIT)
    assert submit(writer, [a_row("b", 5000)]).result(WAIT).accepted == 1
    assert disk.stored == ["a", "b"]
    assert writer.waiting_bytes == 0


def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits(writer):
    assert submit(writer, [a_row("a", 50_000)]).result(WAIT).accepted == 1


def test_a_job_stands_between_what_came_before_it_and_what_came_after(writer, disk, hold):
    submit(writer, [a_row("a")])
    seen = writer.call(lambda _: list(disk.stored))
    after = submit(writer, [a_row("b")])
    hold()
    after.result(WAIT)
    assert seen.result(WAIT) == ["a"]


def test_a_job_that_fails_tells_who_asked_and_nobody_else(writer):
    with pytest.raises(ZeroDivisionError):
        writer.call(lambda _: 1 / 0).result(WAIT)
    assert submit(writer, [a_row("a")]).result(WAIT).accepted == 1


def test_a_request_that_nobody_waits_for_any_more_is_dropped(writer, disk, hold):
    gone = submit(writer, [a_row("a")])
    assert gone.cancel()
    hold()
    assert submit(writer, [a_row("b")]).result(WAIT).accepted == 1
    with pytest.raises(CancelledError):
        gone.result(WAIT)
    assert disk.stored == ["b"]


def test_closing_stores_what_waits(writer, disk, hold):
    request = submit(writer, [a_row("a")])
    hold()
    writer.close()
    assert request.done()
    assert disk.stored == ["a"]
    with pytest.raises(Busy, match="stopping"):
        submit(writer, [a_row("b")])
