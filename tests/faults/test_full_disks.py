"""A disk without room: nothing half-written, a clear word, and on it goes when there is room."""

from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest

from schemas.errors import DiskFull, SessionopsError
from schemas.places import Places
from schemas.settings import Settings
from tests.tracker.tracker_events import make_event, wire
from tests.tracker.tracker_servers import DEADLINE, until
from tracker.client.emitter import Emitter

EVENTS = "/api/v1/events"


def count(server, session_id="s"):
    with server.client("read") as client:
        return client.get(f"/api/v1/sessions/{session_id}")["event_count"]


def large(number, session_id="s"):
    """Events that need more room than a file system keeps back: 10 MB."""
    text = [f"{number}-{part}-{'x' * 50_000}" for part in range(200)]
    return [make_event(session_id, data={"text": part}) for part in text]


def small(session_id="s"):
    return make_event(session_id, data={"text": "ls"})


def status_of(server, events):
    """What the server answers to a batch, as a number and a body."""
    with server.client("ingest") as client:
        headers = {**client._headers(), "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=DEADLINE)
    connection.request("POST", EVENTS, json.dumps(wire(*events)), headers)
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    return response.status, body


def log_of(server, word):
    return [
        line
        for path in server.places.tracker_home.rglob("*.log")
        for line in path.read_text().splitlines()
        if word in line
    ]


def send(server, *events):
    with server.client("ingest") as client:
        return client.post(EVENTS, wire(*events))


@pytest.fixture
def cramped(new_server, places, small_disk):
    """A server whose database alone lies on the small disk, with one session."""
    server = new_server(places)
    server.environ["SESSION_BUDDY_DB_PATH"] = str(small_disk.path / "sessions.db")
    started(server)
    send(server, make_event("s", "session_start"), small())
    return server


def started(server):
    """Start a server, which need not call itself healthy on a disk that is nearly full."""
    server.start(wait=False)
    until(lambda: server.process.poll() is not None or answers(server), "an answer or an end")
    assert server.process.poll() is None, server.process.stderr.read()


def test_ingest_is_refused_with_507_and_works_again_without_a_restart(cramped, small_disk):
    pid = cramped.process.pid
    small_disk.fill()
    for number in range(3):
        status, body = status_of(cramped, large(number))
        assert status == 507, body
        assert "No space left on device" in body["error"]
        assert "make room" in body["hint"]
    # Once in the log, however often it is tried.
    assert len(log_of(cramped, "events not stored")) == 1
    assert 'reason="No space left on device"' in log_of(cramped, "events not stored")[0]
    # Reading goes on, and nothing of what was refused is there.
    assert count(cramped) == 2

    small_disk.make_room()
    assert send(cramped, *large(9))["accepted"] == 200
    assert count(cramped) == 202
    with cramped.client("operate") as client:
        assert client.post("/api/v1/database/check")["ok"]
    assert cramped.process.pid == pid
    assert log_of(cramped, "events are stored again")


def test_what_a_full_disk_cut_off_does_not_outlive_a_kill(cramped, small_disk):
    small_disk.fill(leave=4_000_000)
    with pytest.raises(DiskFull):
        send(cramped, *large(1))
    assert send(cramped, small())["accepted"] == 1
    cramped.kill()
    small_disk.make_room()
    started(cramped)
    assert count(cramped) == 3
    with cramped.client("operate") as client:
        assert client.post("/api/v1/database/check")["ok"]


def test_a_full_disk_at_the_start_is_told_in_a_line(cramped, small_disk):
    cramped.stop()
    for file in small_disk.path.glob("sessions.db*"):
        file.unlink()
    small_disk.fill()
    cramped.start(wait=False)
    _, error = cramped.process.communicate(timeout=DEADLINE)
    assert cramped.process.returncode == 1
    assert "Traceback" not in error
    assert "No space left on device" in error
    assert str(small_disk.path) in error
    small_disk.make_room()
    started(cramped)


def test_a_database_that_is_there_is_opened_on_a_full_disk(cramped, small_disk):
    cramped.kill()
    small_disk.fill()
    started(cramped)
    assert count(cramped) == 2
    small_disk.make_room()
    assert send(cramped, small())["accepted"] == 1


def answers(server):
    try:
        with server.client() as client:
            return bool(client.health())
    except SessionopsError:
        return False


def test_a_full_disk_in_the_middle_of_a_backup_leaves_no_backup(server, small_disk):
    send(server, make_event("s", "session_start"), *large(1))
    send(server, *large(2))
    folder = small_disk.path / "backups"
    folder.mkdir()
    finished = threading.Event()

    def fill_when_it_has_begun():
        until(lambda: list(folder.glob(".backup-*")) or finished.is_set(), "the work folder")
        small_disk.fill()

    filler = threading.Thread(target=fill_when_it_has_begun)
    filler.start()
    body = {"directory": str(folder)}
    with server.client("operate") as client:
        with pytest.raises(SessionopsError, match="backup") as caught:
            client.post("/api/v1/backups", body)
        finished.set()
        filler.join(DEADLINE)
        assert "the server failed" not in str(caught.value)
        assert list(folder.iterdir()) == []
        small_disk.make_room()
        assert client.post("/api/v1/backups", body)["events"] == 401
    assert send(server, small())["accepted"] == 1


def test_a_prune_without_room_says_that_the_old_text_is_still_there(cramped, small_disk):
    secret = "hunter2Xyz"
    send(cramped, *large(1), make_event("s", data={"text": f"psql --password {secret}"}))
    small_disk.fill(leave=6_000_000)
    with cramped.client("admin") as client:
        with pytest.raises(DiskFull, match="its old text is still in the file") as caught:
            prune(client)
        assert "session-buddy prune --apply" in caught.value.hint
        small_disk.make_room()
        prune(client)
    cramped.stop()
    for file in small_disk.path.glob("sessions.db*"):
        assert secret.encode() not in file.read_bytes()


def prune(client):
    after = ""
    while after is not None:
        after = client.post("/api/v1/prune", {"apply": True, "after": after})["next"]


def test_a_spool_on_a_full_disk_counts_what_it_drops_and_says_so_later(
    new_server, places, small_disk, tmp_path
):
    # Spool and logs lie on the small disk, the database does not: the server goes on as well.
    places = Places(home=places.home, tracker_home=small_disk.path / "session-buddy")
    server = new_server(places)
    server.environ["SESSION_BUDDY_DB_PATH"] = str(tmp_path / "elsewhere" / "sessions.db")
    started(server)
    settings = Settings.load(places, server.environ)
    emitter = Emitter({"component": "mahavishnu"}, settings, delivery="manual")
    emitter.start()
    emitter.emit("command", {"text": "before"})
    small_disk.fill()
    while emitter.dropped == 0:
        emitter.emit("command", {"text": "x" * 5_000})
    for _ in range(4):
        emitter.emit("command", {"text": "x" * 5_000})
    dropped = emitter.dropped
    assert dropped == 5
    assert "No space left" in emitter.problem or "full" in emitter.problem

    # A full log folder keeps nobody from being served.
    assert send(server, make_event("other", "session_start"))["accepted"] == 1
    with server.client("read") as client:
        assert client.get("/api/v1/sessions")["total"] == 1

    small_disk.make_room()
    emitter.emit("command", {"text": "after"})
    emitter.end()
    with server.client("read") as client:
        events = client.get(f"/api/v1/sessions/{emitter.session_id}/events", limit=1000)["events"]
    told = [(event["event_type"], event["data"].get("text")) for event in events]
    assert told[:2] == [("session_start", None), ("command", "before")]
    assert told[-3:] == [("gap", None), ("command", "after"), ("session_end", None)]
    # A gap that still found room was written at once, so there may be several.
    gaps = [event["data"]["dropped"] for event in events if event["event_type"] == "gap"]
    assert sum(gaps) == dropped
    send(server, make_event("other"))
    code, _, complaints = server.stop()
    assert (code, complaints) == (0, "")
    assert log_of(server, "stopped") or log_of(server, "request")
