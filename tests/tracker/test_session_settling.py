"""Sessions follow their events a moment later: nobody sees that, and a crash does not undo it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from tracker_events import make_event

from schemas.errors import NotFound, SessionopsError
from tracker import life, sessions
from tracker.sessions import SessionService
from tracker.store import ingest
from tracker.store.known_ids import KnownIds
from tracker.store.probes import TRACKING

FACTS = {"component": "mahavishnu", "user": "ada", "metadata": {"env": {"TERM": "xterm"}}}

STORE_AND_DIE = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from schemas.session import EventBatch
from tracker.store.database import Database
from tracker.store.ingest import Ingest
from tracker.store.known_ids import KnownIds
from tracker.store.rows import event_rows

database = Database.open(Path(sys.argv[1]), role="test", release="0.1.0")
events = Ingest(KnownIds())
for number, line in enumerate(sys.stdin):
    batch = EventBatch.model_validate_json(line)
    events.store(database.writing, event_rows(batch.events, datetime.now(UTC)))
    if number < int(sys.argv[2]):
        events.settle(database.writing)
os.kill(os.getpid(), signal.SIGKILL)
"""


def groups():
    """Groups of events: sessions that end, fail, go on, and one whose start comes last."""
    yield [
        make_event("ends", "session_start", session=FACTS),
        make_event("goes-on", "session_start", session=FACTS),
        make_event("early", "command", exit_code=1),
        make_event("early", "gap", data={"dropped": 1}),
        make_event("never-starts", "gap", data={"dropped": 10}),
    ]
    yield [make_event("ends", "command", exit_code=2), make_event("goes-on", "command")]
    yield [make_event("goes-on", "gap", data={"dropped": 100})]
    yield [
        make_event("ends", "session_end", at=9, exit_code=0),
        make_event("fails", "session_start", session=FACTS),
        make_event("fails", "session_end", at=3, exit_code=1),
        make_event("check", "session_start", session={**FACTS, "session_type": "acceptance"}),
    ]
    yield [make_event("early", "session_start", session=FACTS), make_event("goes-on", "error")]


def told(service):
    """All that a service tells of its sessions, without the times at which it heard of them."""
    hidden = {"last_seen"}
    sessions = {
        session.session_id: session.model_dump(exclude=hidden)
        for session in service.list_sessions().sessions
    }
    return sessions, service.totals().stored


@pytest.mark.parametrize("settled", range(6))
def test_sessions_whose_events_were_acknowledged_before_a_crash_are_made_up_for(
    settings, store, service, settled
):
    sent = list(groups())
    for group in sent:
        store(*group)
    wanted = told(service)
    assert wanted[1]["events_lost", ""] == 111
    service.close()
    crashed = settings.database.with_name("crashed.db")
    lines = "".join(
        '{"events":[' + ",".join(e.model_dump_json(exclude_none=True) for e in group) + "]}\n"
        for group in sent
    )
    died = subprocess.run(
        [sys.executable, "-c", STORE_AND_DIE, str(crashed), str(settled)],
        input=lines,
        text=True,
        check=False,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL
    crashed.rename(settings.database)
    crashed.with_name("crashed.db.wal").rename(f"{settings.database}.wal")
    again = SessionService.open(settings, wait=0)
    try:
        assert told(again) == wanted
        assert again.maintenance.check().ok
    finally:
        again.close()


def test_who_reads_after_an_acknowledgement_sees_what_follows_from_it(service, store):
    store(make_event("s", "session_start"))
    for number in range(1, 60):
        store(make_event("s", "command", exit_code=number % 2))
        session = service.get_session("s")
        assert (session.command_count, session.error_count) == (number, (number + 1) // 2)


def test_what_could_not_be_settled_is_settled_later(service, store, monkeypatch):
    settle = life.project

    def fails(*_):
        raise OSError("Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(life, "project", fails)
        store(make_event("s", "session_start"), make_event("s", "command"))
        with pytest.raises(NotFound):
            service.get_session("s")
    assert life.project is settle
    assert service.get_session("s").command_count == 1
    assert service.totals().stored["sessions", "mahavishnu"] == 1


def test_a_job_is_refused_while_sessions_lag_and_a_close_leaves_a_mark(
    settings, service, store, monkeypatch
):
    """What is deleted, copied or taken out of the log would otherwise be wrong for ever."""
    store(make_event("gone", "session_start"))
    assert service.get_session("gone")

    def fails(*_):
        raise OSError("Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(life, "project", fails)
        store(make_event("gone", "command"), make_event("s", "session_start"))
        for job in (
            lambda: service.maintenance.delete_session("gone", actor="test"),
            lambda: service.maintenance.archive(1),
            service.maintenance.compact,
            service.backup,
        ):
            with pytest.raises(SessionopsError, match="sessions lag behind their events"):
                job()
        assert not next(probe.ok for probe in service.probes() if probe.name == TRACKING)
        service.close()
    again = SessionService.open(settings, wait=0)
    try:
        assert (again.get_session("gone").event_count, again.get_session("s").event_count) == (2, 1)
        assert all(probe.ok is not False for probe in again.probes() if probe.name == TRACKING)
    finally:
        again.close()
    assert not settings.database.with_name("sessions.db.behind").exists()


def test_a_tracker_that_cannot_make_up_for_a_crash_starts_and_goes_on_trying(
    settings, service, store, monkeypatch
):
    store(make_event("s", "session_start"))
    service._database.leave_behind(behind=True)
    service._writer.call(lambda writing: writing.execute("DELETE FROM sessions").fetchall()).result(
        30
    )
    service._database.leave_behind = lambda *, behind: None
    service.close()

    def fails(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sessions, "project_again", fails)
        patch.setattr(ingest, "project_again", fails)
        again = SessionService.open(settings, wait=0)
        assert [event.event_type for event in again.list_events("s").events] == ["session_start"]
    try:
        assert again.get_session("s").event_count == 1
    finally:
        again.close()


def test_events_of_which_nobody_knows_whether_they_were_stored_make_their_session(
    service, store, monkeypatch
):
    """The file was given up after the commit: sent again, they count as sent twice."""
    inserted = ingest._inserted

    def doubtful(connection, rows):
        monkeypatch.setattr(ingest, "_inserted", inserted)
        inserted(connection, rows)
        raise OSError("FATAL: database has been invalidated")

    monkeypatch.setattr(ingest, "_inserted", doubtful)
    store(make_event("s", "session_start", event_id="e"))
    assert service.get_session("s").event_count == 1


def test_events_of_an_archived_session_may_be_sent_again_and_again(service, store):
    events = [make_event("s", "session_start"), make_event("s", "session_end", exit_code=0)]
    store(*events)
    service.maintenance.archive(1)
    for _ in range(3):
        assert store(*events).accepted == 0
    assert service.get_session("s").archived
    assert store(make_event("s", "command")).accepted == 1
    assert service.maintenance.check().ok


def test_a_start_keeps_what_it_told_of_its_session(service, store):
    store(
        make_event("s", "session_start", session=FACTS, data={"why": "deploy", "session": "mine"})
    )
    (event,) = service.list_events("s").events
    assert event.data == {"why": "deploy", "session": "mine", "_session": FACTS}


def test_what_is_stored_of_a_session_is_never_taken_for_nothing(service, store):
    for name in ("live", "archived", "deleted"):
        store(make_event(name, "session_start"), make_event(name, "session_end", exit_code=0))
    store(make_event("only-events", "command"))
    service.maintenance.archive(1)
    store(make_event("live", "session_start"))
    service.maintenance.delete_session("deleted", actor="test")
    known = KnownIds()
    unknown = [f"unknown-{number}" for number in range(1000)]
    assert known.among(unknown) == unknown  # before it knows anything, everything may be there
    known.load(service._database)
    stored = ["live", "archived", "deleted", "only-events"]
    assert known.among(stored) == stored
    assert len(known.among(unknown)) < 10
    known.add(unknown)
    assert known.among(unknown) == unknown


def test_a_late_event_finds_its_session_in_the_archive(service, store):
    store(make_event("s", "session_start"), make_event("s", "session_end", exit_code=0))
    assert service.maintenance.archive(1).sessions == 1
    store(make_event("s", "command", exit_code=1))
    session = service.get_session("s")
    assert (session.archived, session.event_count, session.error_count) == (False, 3, 1)
