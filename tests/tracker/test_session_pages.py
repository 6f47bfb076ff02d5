"""Lists that are kept: true as long as nothing was written, and no more of them than allowed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tracker_events import make_event

from schemas.settings import Settings
from tracker.sessions import SessionService
from tracker.store import queries
from tracker.store.filters import SessionFilter


@pytest.fixture
def reads(monkeypatch):
    """Counts the lists that are really read."""
    counted, real = [], queries.list_sessions

    def read(*arguments, **options):
        counted.append(options)
        return real(*arguments, **options)

    monkeypatch.setattr(queries, "list_sessions", read)
    return counted


@pytest.fixture
def sized(places):
    """Makes a service that keeps this many sessions."""
    made = []

    def sized(size):
        settings = Settings.load(places, {"SESSION_BUDDY_CACHE_SIZE": str(size)})
        made.append(SessionService.open(settings, wait=0))
        starts = [make_event(f"s-{number}", "session_start", at=number) for number in range(20)]
        made[-1].ingest(starts).result(30)
        return made[-1]

    yield sized
    for service in made:
        service.close()


def test_the_same_question_is_answered_once_while_nothing_changes(sized, reads):
    service = sized(1000)
    first = service.list_sessions(limit=5)
    assert service.list_sessions(limit=5) == first
    assert service.list_sessions(SessionFilter(user="ada"), limit=5).sessions == []
    assert len(reads) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda service: service.ingest([make_event("new", "session_start")]).result(30),
        lambda service: service.ingest([make_event("s-3", "command")]).result(30),
        lambda service: service.mark_abandoned(datetime.now(UTC) + timedelta(days=1)),
        lambda service: service.maintenance.delete_session("s-3", actor="test"),
    ],
    ids=["a new session", "an event", "silence", "a deletion"],
)
def test_whatever_is_written_shows_at_once(sized, change):
    service = sized(1000)
    before = service.list_sessions(limit=100)
    change(service)
    assert service.list_sessions(limit=100) != before


def test_no_more_sessions_are_kept_than_allowed(sized, reads):
    service = sized(12)
    for limit in (5, 6, 5, 6, 20, 5):
        service.list_sessions(limit=limit)
    assert [read["limit"] for read in reads] == [5, 6, 20]
    service.list_sessions(limit=4)  # the oldest list, that of six, makes room
    for limit in (5, 4, 6):
        service.list_sessions(limit=limit)
    assert [read["limit"] for read in reads] == [5, 6, 20, 4, 6]


def test_nothing_is_kept_where_nothing_may_be(sized, reads):
    service = sized(0)
    service.list_sessions()
    service.list_sessions()
    assert len(reads) == 2
