"""The index follows what is stored, whatever happens, and ingest never waits for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter

import pytest
from search_sessions import event, indexed, session, sessions, tell, until

from schemas.errors import SessionopsError
from tracker.search import indexer as indexer_module
from tracker.search.indexer import Indexer
from tracker.search.meaning import Meaning
from tracker.sessions import SessionService
from tracker.store.deletion import delete_session
from tracker.store.search_tables import forget_events


def entries(service):
    """How often each event is in the index, and what else is in it."""
    rows = service._database.query("SELECT event_id FROM search_events")
    texts = service._database.query("SELECT text FROM search_texts ORDER BY text")
    return Counter(event_id for (event_id,) in rows), [text for (text,) in texts]


def test_equal_texts_have_one_entry(service):
    tell(service, *session("a", "ps()", "top()"), *session("b", "ps()"), event("a", "checkpoint"))
    events, texts = entries(service)
    assert texts == ["mahavishnu\nadmin_shell", "ps()", "top()"]
    assert len(events) == 5
    assert set(events.values()) == {1}


def test_what_was_stored_while_nobody_indexed_is_found_after_a_start(service, settings):
    service._search._indexer.close()
    service.ingest(session("s", "before the start")).result()
    assert service.search("before", search_type="text").hits == []
    assert service.search("before").unindexed == 2
    service.close()
    again = SessionService.open(settings, wait=0)
    indexed(again)
    assert sessions(again.search("before the start")) == ["s"]
    tell(again, *session("t", "after the start"))
    assert set(entries(again)[0].values()) == {1}
    again.close()


def test_more_than_it_can_hold_is_found_in_the_database(settings, monkeypatch):
    monkeypatch.setattr(indexer_module, "_SCAN", 7)
    monkeypatch.setattr(indexer_module, "_GROUP", 3)

    def with_little_room(database, writer, meaning):
        return Indexer(database, writer, meaning, waiting_bytes=2_000)

    monkeypatch.setattr("tracker.search.search.Indexer", with_little_room)
    service = SessionService.open(settings, wait=0)
    sent = [session(f"s{number}", "one", "two", f"three {number}") for number in range(40)]
    answers = [service.ingest(events) for events in sent]
    assert sum(answer.result().accepted for answer in answers) == 160
    indexed(service)
    events, texts = entries(service)
    assert events == Counter(event.event_id for events in sent for event in events)
    assert len(texts) == 43
    service.close()


def test_an_event_that_is_sent_twice_is_indexed_once(service):
    events = session("s", "once")
    tell(service, *events)
    tell(service, *events, event("s", text="more"))
    assert set(entries(service)[0].values()) == {1}


def test_an_index_made_from_scratch_is_the_same(service):
    tell(service, *session("a", "ps()", "top()"), *session("b", "ps()", at=60))
    before = entries(service), service.search("ps").hits
    service.reindex(from_scratch=True)
    indexed(service)
    assert (entries(service), service.search("ps").hits) == before


def test_a_deleted_session_leaves_nothing_in_the_index(service):
    tell(service, *session("a", "ps()", "export hunter2=x"), *session("b", "ps()"))
    service._writer.call(lambda writing: delete_session(writing, "a", lambda _: None)).result()
    assert service.search("hunter2").hits == []
    assert entries(service)[1] == ["mahavishnu\nadmin_shell", "ps()"]
    terms = service._database.query("SELECT term FROM search_terms ORDER BY term")
    assert [term for (term,) in terms] == ["admin", "mahavishnu", "ps", "shell"]
    (hit,) = service.search("ps").hits
    assert (hit.event.session_id, hit.occurrences) == ("b", 1)


def test_an_event_that_was_changed_is_found_by_its_new_text_only(service):
    secret = event("s", text="password hunter2")
    tell(service, *session("s"), secret)

    def change(writing):
        forget_events(writing, [secret.event_id])
        writing.execute(
            "UPDATE session_events SET data = ? WHERE event_id = ?",
            [json.dumps({"text": "password ***"}), secret.event_id],
        ).fetchall()
        service._search.disturbed()

    service._writer.call(change).result()
    indexed(service)
    assert service.search("hunter2").hits == []
    assert [hit.text for hit in service.search("password").hits] == ["password ***"]


def test_ingest_does_not_wait_for_the_model(knowing, monkeypatch):
    began, may_end = threading.Event(), threading.Event()
    embedder = knowing._search._meaning.embedder()

    def slow(texts):
        began.set()
        may_end.wait(30)
        return type(embedder).embed(embedder, texts)

    monkeypatch.setattr(embedder, "embed", slow)
    knowing.ingest(session("first", "to be embedded")).result()
    assert began.wait(30)
    assert knowing.ingest(session("second", "arrives meanwhile")).result(30).accepted == 2
    assert knowing.list_sessions().total == 2
    may_end.set()
    assert indexed(knowing).embedded == 3


def test_what_stops_the_index_is_told_by_health_and_can_pass(service, monkeypatch):
    monkeypatch.setattr(indexer_module, "_RETRY", 0.01)

    def run(sql):
        service._writer.call(lambda writing: writing.execute(sql).fetchall()).result()

    tell(service, *session("s", "before"))
    run("ALTER TABLE search_postings RENAME TO hidden")
    service.ingest(session("t", "cannot be indexed")).result()
    until(lambda: service.index_progress().problem, "the problem")
    (probe,) = [probe for probe in service.probes() if probe.name == "Semantic search"]
    assert (probe.ok, probe.value) == (False, "failing")
    assert "search_postings" in probe.hint
    run("ALTER TABLE hidden RENAME TO search_postings")
    indexed(service)
    until(lambda: not service.index_progress().problem, "the end of it")
    assert sessions(service.search("cannot be indexed")) == ["t"]


def test_a_server_without_a_model_loads_none(settings):
    program = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from search_sessions import session, tell\n"
        "from schemas.settings import Settings\n"
        "from tracker.sessions import SessionService\n"
        "service = SessionService.open(Settings.load())\n"
        "tell(service, *session('s', 'ps()'))\n"
        "assert len(service.search('ps').hits) == 1\n"
        "service.close()\n"
        "print([name for name in sys.modules if name in ('tokenizers', 'tracker.search.minilm')])\n"
    )
    environ = {**os.environ, "SESSION_BUDDY_HOME": str(settings.places.tracker_home)}
    done = subprocess.run(
        [sys.executable, "-c", program, os.path.dirname(__file__)],  # noqa: PTH120
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_it_is_closed_twice_without_harm(service):
    service.close()
    service.close()
    with pytest.raises(SessionopsError, match="stopping"):
        service.ingest(session("s"))


def test_an_index_that_was_never_started_can_be_closed(service, settings):
    meaning = Meaning(service._database, settings)
    Indexer(service._database, service._writer, meaning).close()
