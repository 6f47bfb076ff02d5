"""Prune: what today's patterns mask is masked in what was stored before, wherever it is."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from tracker_events import make_event, wire
from tracker_servers import DEADLINE, until

from schemas.errors import Busy, InvalidInput, NotAuthorised, SessionopsError
from tracker.store import prune as stored
from tracker.web import audit

SECRET = "hunter2Xyz"
TOKEN = "npm_" + "aB3" * 12
MASK = "********"


def bytes_on_disk(settings):
    """Everything that lies in the tracker's folder, but for backups."""
    return b"".join(
        path.read_bytes()
        for path in settings.database.parent.rglob("*")
        if path.is_file() and path.parent != settings.places.backups
    )


def pruned(service, *, apply, actor="tests"):
    """All the answers of a whole prune."""
    answers, after = [], ""
    while after is not None:
        answers.append(service.maintenance.prune(apply=apply, after=after, actor=actor))
        after = answers[-1].next
    return answers


def summed(answers):
    """Sessions, events, and the patterns of a whole prune."""
    patterns = Counter()
    for answer in answers:
        patterns.update(answer.patterns)
    return sum(a.sessions for a in answers), sum(a.events for a in answers), dict(patterns)


@pytest.fixture
def leaky(service, store):
    """A store with secrets in events, in a session's facts, in its metadata, and in the archive."""
    long_ago = datetime.now(UTC) - timedelta(days=40)
    old = [
        make_event("old", "session_start", event_id="o0"),
        make_event("old", event_id="o1", data={"text": f"psql --password {SECRET}"}),
        make_event("old", "session_end", event_id="o2", exit_code=0),
    ]
    for event in old:
        event.timestamp = long_ago
    facts = {
        "component": "mahavishnu",
        "cwd": f"/srv/x?token={SECRET}",
        "metadata": {"title": f"TOKEN={SECRET}", "db_password": SECRET},
    }
    store(*old)
    assert service.maintenance.archive(30).sessions == 1
    store(
        make_event("s", "session_start", event_id="s0", session=facts),
        make_event("s", event_id="s1", data={"text": f"npm publish {TOKEN}"}),
        make_event("s", event_id="s2", data={"text": "ps()", "steps": [{"token": SECRET}]}),
        make_event("s", event_id="s3", data={"text": "ls -l"}),
    )
    until(lambda: service.index_progress().indexed == 7, "the search index")
    return service


def test_a_dry_run_counts_by_pattern_and_changes_nothing(leaky, settings):
    before = leaky.list_events("s").events
    answers = pruned(leaky, apply=False)
    assert summed(answers) == (1, 4, {"assignment": 2, "field": 3, "option": 1, "npm_token": 1})
    assert SECRET not in str(answers)
    assert leaky.list_events("s").events == before
    assert not audit.audit_file(settings.places).exists()


def test_what_is_masked_is_gone_from_rows_index_and_file(leaky, settings):
    leaky._writer.call(lambda writing: writing.execute("CHECKPOINT").fetchall()).result(DEADLINE)
    assert SECRET.encode() in settings.database.read_bytes()
    answers = pruned(leaky, apply=True)
    assert summed(answers)[:2] == (1, 4)
    assert answers[-1].compaction is not None
    session = leaky.get_session("s")
    assert session.cwd == f"/srv/x?token={MASK}"
    assert session.metadata == {"title": f"TOKEN={MASK}", "db_password": MASK}
    texts = [event.data.get("text") for event in leaky.list_events("s").events]
    assert texts == [None, f"npm publish {MASK}", "ps()", "ls -l"]
    assert leaky.list_events("s").events[2].data["steps"] == [{"token": MASK}]
    assert leaky.list_events("old").events[1].data == {"text": f"psql --password {MASK}"}
    until(lambda: leaky.index_progress().indexed == 7, "the search index")
    assert leaky.search("publish", search_type="text").hits[0].event.event_id == "s1"
    assert not leaky.search(SECRET, search_type="text").hits
    on_disk = bytes_on_disk(settings)
    assert SECRET.encode() not in on_disk
    assert TOKEN.encode() not in on_disk
    assert SECRET.lower().encode() not in on_disk  # as a word of the search index
    assert leaky.maintenance.check().ok


def test_the_vectors_of_masked_texts_go_with_them(leaky):
    with leaky._database.reading() as reading:
        (kept,), (gone,) = (
            reading.execute(
                "SELECT text_id FROM search_events WHERE event_id = ?", [event_id]
            ).fetchone()
            for event_id in ("s3", "s1")
        )
    leaky._search._indexer.close()
    leaky._writer.call(
        lambda writing: writing.execute(
            "INSERT INTO search_vectors SELECT 'model', row_number() OVER (), text_id, 1, 'x'::BLOB"
            " FROM search_texts"
        ).fetchall()
    ).result(DEADLINE)
    pruned(leaky, apply=True)
    rows = leaky._database.query("SELECT text_id FROM search_vectors")
    assert (kept,) in rows
    assert (gone,) not in rows


def test_a_second_prune_finds_nothing_and_does_not_write_the_file_anew(leaky):
    pruned(leaky, apply=True)
    again = pruned(leaky, apply=True)
    assert summed(again) == (0, 0, {})
    assert [answer.compaction for answer in again] == [None]


def test_a_prune_that_was_stopped_is_finished_by_the_next_one(leaky, settings, monkeypatch):
    monkeypatch.setattr("tracker.pruning.SECONDS", 0.0)
    monkeypatch.setattr(stored, "PIECE_ROWS", 1)
    first = leaky.maintenance.prune(apply=True, after="", actor="tests")
    assert first.next is not None
    monkeypatch.undo()
    # All rows are masked, and it is stopped before the file is written anew.
    after = first.next
    while after != "file":
        after = leaky.maintenance.prune(apply=True, after=after, actor="tests").next
    assert pruned(leaky, apply=False)[-1].unfinished
    assert SECRET.encode() in bytes_on_disk(settings)
    rest = pruned(leaky, apply=True)
    assert summed(rest) == (0, 0, {})
    assert rest[-1].compaction is not None
    assert SECRET.encode() not in bytes_on_disk(settings)
    assert not pruned(leaky, apply=False)[-1].unfinished


def test_copies_that_a_killed_query_or_backup_has_left_go_too(leaky, settings):
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    folders = [
        settings.database.parent / f".query-{dead.pid}-x",
        settings.places.backups / f".backup-{dead.pid}-x",
    ]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "copy.db").write_text(SECRET)
    pruned(leaky, apply=True)
    assert not any(folder.exists() for folder in folders)


def test_small_pieces_find_the_same_as_large_ones(leaky, monkeypatch):
    whole = summed(pruned(leaky, apply=False))
    monkeypatch.setattr("tracker.pruning.SECONDS", 0.0)
    for rows, size in ((1, 500_000), (3, 500_000), (1_000, 1)):
        monkeypatch.setattr(stored, "PIECE_ROWS", rows)
        monkeypatch.setattr(stored, "PIECE_BYTES", size)
        monkeypatch.setattr("tracker.pruning.SECONDS", 0.01)
        answers = pruned(leaky, apply=False)
        assert summed(answers) == whole
        assert sum(answer.seen for answer in answers) == answers[-1].total == 9


def test_what_is_done_is_in_the_audit_log_before_it_is_done(leaky, settings):
    pruned(leaky, apply=True, actor="ops")
    lines = audit.audit_file(settings.places).read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [(e["actor"], e["action"], e["subject"], e["details"]["rows"]) for e in entries] == [
        ("ops", "store.prune", "sessions", 1),
        ("ops", "store.prune", "events", 4),
    ]
    assert SECRET not in "".join(lines)


def test_without_an_audit_log_nothing_is_masked(leaky, settings):
    settings.places.audit.mkdir(parents=True)
    audit.audit_file(settings.places).mkdir()
    with pytest.raises(SessionopsError, match="audit log cannot be written"):
        pruned(leaky, apply=True)
    assert summed(pruned(leaky, apply=False))[:2] == (1, 4)


@pytest.mark.parametrize("after", ["x", "events", "sessions", "others:1", ":"])
def test_a_place_that_nobody_gave_is_refused(service, after):
    with pytest.raises(InvalidInput, match="'after'"):
        service.maintenance.prune(apply=False, after=after, actor="tests")


def test_data_that_is_no_json_is_masked_as_a_text(service, store):
    store(make_event("s", "session_start"), make_event("s", event_id="bad"))
    service._writer.call(
        lambda writing: writing.execute(
            "UPDATE session_events SET data = ? WHERE event_id = 'bad'", [f"{{TOKEN={SECRET}"]
        ).fetchall()
    ).result(DEADLINE)
    assert summed(pruned(service, apply=True)) == (0, 1, {"assignment": 1})
    rows = service._database.query("SELECT data FROM session_events WHERE event_id = 'bad'")
    assert rows == [(f"{{TOKEN={MASK}",)]


def test_events_are_taken_while_a_server_prunes(server):
    texts = [f"deploy --token {SECRET}{number}" for number in range(6_000)]
    with server.client("ingest", "read", "admin", "operate") as client:
        client.post("/api/v1/events", wire(make_event("busy", "session_start")))
        for begin in range(0, len(texts), 2_000):
            some = texts[begin : begin + 2_000]
            events = [make_event("busy", data={"text": text}) for text in some]
            client.post("/api/v1/events", wire(*events))
        stop, sent = threading.Event(), []

        def send():
            with server.client("ingest") as sender:
                while not stop.is_set():
                    batch = [make_event("late", at=len(sent), data={"text": "ls"})]
                    sender.post("/api/v1/events", wire(*batch))
                    sent.append(batch[0].event_id)

        sender = threading.Thread(target=send)
        sender.start()
        until(lambda: sent, "the sender")
        masked, after = 0, ""
        while after is not None:
            answer = client.post("/api/v1/prune", {"apply": True, "after": after})
            masked, after = masked + answer["events"], answer["next"]
        seen = len(sent)
        until(lambda: len(sent) > seen, "the sender after the prune")
        stop.set()
        sender.join(DEADLINE)
        assert masked == len(texts)
        sql = "SELECT count(*), count(DISTINCT event_id) FROM session_events"
        assert client.post("/api/v1/database/query", {"sql": sql})["rows"] == [
            [len(texts) + 1 + len(sent)] * 2
        ]
        assert client.post("/api/v1/database/check")["ok"]
    server.stop()
    for path in server.places.tracker_home.glob("sessions.db*"):
        assert SECRET.encode() not in path.read_bytes()


def test_two_at_a_time_are_one_too_many(leaky):
    leaky.maintenance._pruning._one_at_a_time.acquire()
    with pytest.raises(Busy, match="another prune"):
        pruned(leaky, apply=False)


def test_it_needs_the_scope_admin(server):
    with server.client("operate", "read", "ingest") as client, pytest.raises(NotAuthorised):
        client.post("/api/v1/prune", {"apply": False})
