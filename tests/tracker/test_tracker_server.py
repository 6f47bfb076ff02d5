"""The tracker's server, a real process, over HTTP: what it answers and what it refuses."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from tracker_events import make_event, wire
from tracker_servers import DEADLINE, until

from schemas.errors import Busy, NotAuthorised, NotFound
from schemas.session import ErrorBody, IngestAnswer, Session, StoredEvent
from schemas.settings import Settings
from tracker.server import look_for_silence
from tracker.sessions import SessionService
from tracker.web.auth import load_keys, mint

EVENTS = "/api/v1/events"
SESSIONS = "/api/v1/sessions"
BACKUPS = "/api/v1/backups"
ALL = ("read", "ingest", "operate")


def ask(server, method, path, body=None, *, scopes=ALL, content_type="application/json"):
    """Status, headers and body of an answer, whatever it is."""
    headers = {"Content-Type": content_type}
    if scopes:
        keys = load_keys(Settings.load(server.places, {}), "session-buddy")
        headers["Authorization"] = f"Bearer {mint(keys, 'session-buddy', 'tests', scopes, 5)}"
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=DEADLINE)
    content = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    connection.request(method, path, content, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers, content


def an_event(**changes):
    return {
        "event_id": "e",
        "session_id": "s",
        "event_type": "command",
        "timestamp": "2026-11-23T09:00:00Z",
        **changes,
    }


def test_health_needs_no_token_and_tells_what_runs(shared_server):
    status, _, body = ask(shared_server, "GET", "/health", scopes=())
    health = json.loads(body)
    assert (status, health["status"], health["service"]) == (200, "healthy", "session-buddy")
    assert (health["release"], health["pid"]) == ("checkout", shared_server.process.pid)
    names = [probe["name"] for probe in health["probes"]]
    assert names == [
        "Session-Buddy MCP server",
        "Database",
        "Session tracking",
        "Disk",
        "Semantic search",
    ]


def test_health_is_503_while_the_database_is_gone(shared_server):
    database = shared_server.places.database
    database.rename(database.with_name("moved.db"))
    status, _, body = ask(shared_server, "GET", "/health", scopes=())
    database.with_name("moved.db").rename(database)
    probes = {probe["name"]: probe for probe in json.loads(body)["probes"]}
    assert (status, json.loads(body)["status"]) == (503, "unhealthy")
    assert probes["Session-Buddy MCP server"]["value"] == "unhealthy"
    assert not probes["Database"]["ok"]
    assert ask(shared_server, "GET", "/health", scopes=())[0] == 200


def test_events_are_taken_and_sessions_answered(shared_server):
    start = make_event("http-1", "session_start")
    command = make_event("http-1", at=1, data={"text": "ps()"}, exit_code=0)
    end = make_event("http-1", "session_end", at=2, exit_code=0)
    with shared_server.client("ingest", "read") as client:
        answer = client.post(EVENTS, wire(start, command, end))
        assert IngestAnswer(**answer) == IngestAnswer(accepted=3, duplicates=0)
        assert client.post(EVENTS, wire(end))["duplicates"] == 1
        session = Session(**client.get(f"{SESSIONS}/http-1"))
        assert (session.status, session.command_count, session.event_count) == ("ended", 1, 3)
        listed = client.get(SESSIONS, type="admin_shell", limit=1000)
        assert "http-1" in {entry["session_id"] for entry in listed["sessions"]}
        first = client.get(f"{SESSIONS}/http-1/events", limit=2)
        rest = client.get(f"{SESSIONS}/http-1/events", limit=2, after=first["next"])
        events = [StoredEvent(**event) for event in first["events"] + rest["events"]]
        assert [event.event_id for event in events] == [e.event_id for e in (start, command, end)]
        assert rest["next"] is None


def test_ndjson_is_taken_too(shared_server):
    lines = [json.dumps(event) for event in wire(make_event("nd"), make_event("nd"))["events"]]
    body = ("\n".join(lines) + "\n\n").encode()
    status, _, answer = ask(
        shared_server, "POST", EVENTS, body, content_type="application/x-ndjson; charset=utf-8"
    )
    assert (status, json.loads(answer)["accepted"]) == (200, 2)


def test_a_large_batch_is_taken(shared_server):
    events = [make_event("large", data={"text": "x" * 100}) for _ in range(5000)]
    with shared_server.client("ingest") as client:
        assert client.post(EVENTS, wire(*events))["accepted"] == 5000
        assert client.post(EVENTS, {"events": []})["accepted"] == 0


REFUSED = {
    "nothing": (b"", 422),
    "not JSON": (b"events", 422),
    "not UTF-8": (b'{"events": ["\xff"]}', 422),
    "a list": ([], 422),
    "no events": ({}, 422),
    "events of another type": ({"events": {"event_id": "e"}}, 422),
    "an empty event": ({"events": [{}]}, 422),
    "an unknown key": ({"events": [an_event(colour="red")]}, 422),
    "a key beside the events": ({"events": [], "more": 1}, 422),
    "an unknown type": ({"events": [an_event(event_type="party")]}, 422),
    "an id with a space": ({"events": [an_event(event_id="a b")]}, 422),
    "an id that is too long": ({"events": [an_event(event_id="a" * 65)]}, 422),
    "a time without a zone": ({"events": [an_event(timestamp="2026-11-23T09:00:00")]}, 422),
    "a time far ahead": ({"events": [an_event(timestamp="2036-11-23T09:00:00Z")]}, 422),
    "a time before all": ({"events": [an_event(timestamp="0001-01-01T00:00:00+14:00")]}, 422),
    "a time after all": ({"events": [an_event(timestamp="9999-12-31T23:59:59-14:00")]}, 422),
    "a start without facts": ({"events": [an_event(event_type="session_start")]}, 422),
    "a huge exit code": ({"events": [an_event(exit_code=2**40)]}, 422),
    "a negative duration": ({"events": [an_event(duration_seconds=-1)]}, 422),
    "an endless duration": (b'{"events": [%s]}' % json.dumps(an_event()).encode()[:-1]
                            + b', "duration_seconds": 1e999}]}', 422),
    "data with NaN": ({"events": [an_event(data={"x": float("nan")})]}, 422),
    "half a character": (b'{"events": [{"event_id": "\\ud800"}]}', 422),
    "deep JSON": (b'{"events": ' + b"[" * 100_000, 422),
    "a huge number": (b'{"events": [' + b"9" * 10_000 + b"]}", 422),
    "too much": (b" " * 16_000_001, 413),
}  # fmt: skip


@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_batch_is_refused_with_a_reason(shared_server, body, status):
    found, headers, answer = ask(shared_server, "POST", EVENTS, body)
    error = ErrorBody(**json.loads(answer))
    assert (found, bool(error.error)) == (status, True)
    assert headers["x-request-id"] == error.request_id


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", f"{SESSIONS}?typ=admin_shell", 400, "unknown parameter 'typ'"),
        ("GET", f"{SESSIONS}?limit=ten", 400, "whole number"),
        ("GET", f"{SESSIONS}?limit=1001", 400, "1000"),
        ("GET", f"{SESSIONS}?offset=99999999999999999999", 400, "offset"),
        ("GET", f"{SESSIONS}?status=dead", 400, "not a status"),
        ("GET", f"{SESSIONS}/nobody", 404, "no session 'nobody'"),
        ("GET", f"{SESSIONS}/nobody/events", 404, "no session 'nobody'"),
        ("GET", f"{SESSIONS}/%00%ff", 404, "no session"),
        ("GET", f"{SESSIONS}/s/events?after=x", 400, "not a cursor"),
        ("GET", "/api/v1/nothing", 404, "Not Found"),
        ("DELETE", EVENTS, 405, "Method Not Allowed"),
        ("POST", f"{BACKUPS}?", 400, "an object with"),
    ],
)
def test_a_wrong_question_is_refused_with_a_reason(shared_server, method, path, status, says):
    body = b"[]" if method == "POST" else None
    found, _, answer = ask(shared_server, method, path, body)
    assert (found, says in json.loads(answer)["error"]) == (status, True)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", SESSIONS, "read"),
        ("GET", f"{SESSIONS}/s", "read"),
        ("GET", f"{SESSIONS}/s/events", "read"),
        ("POST", EVENTS, "ingest"),
        ("POST", BACKUPS, "operate"),
    ],
)
def test_each_route_wants_its_scope(shared_server, method, path, scope):
    others = tuple(other for other in ("read", "ingest", "operate", "admin") if other != scope)
    assert ask(shared_server, method, path, b"{}", scopes=())[0] == 401
    assert ask(shared_server, method, path, b"{}", scopes=others)[0] == 403


@pytest.mark.needs("promtool")
def test_metrics_are_there_for_prometheus(shared_server):
    status, headers, body = ask(shared_server, "GET", "/metrics", scopes=())
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert b"# TYPE mahavishnu_sessions_total counter" in body
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, check=False
    )
    assert (check.returncode, check.stderr) == (0, b"")


def test_a_full_queue_says_when_to_come_back(service, serving):
    """A writer that is held up stands for a slow disk."""
    server = serving(service)
    service._writer._queue_bytes = 1000
    disk = threading.Event()
    service._writer.call(lambda _: disk.wait(DEADLINE))
    first = []
    waiting = threading.Thread(
        target=lambda: first.append(ask(server, "POST", EVENTS, wire(*[make_event("s")] * 3)))
    )
    waiting.start()
    until(lambda: service._writer.waiting_bytes, "the first request to wait")
    status, headers, body = ask(server, "POST", EVENTS, wire(*[make_event("s")] * 3))
    assert (status, headers["retry-after"]) == (429, "1")
    assert ErrorBody(**json.loads(body)).error == "too many events are waiting to be stored"
    assert ask(server, "GET", SESSIONS)[0] == 200, "readers do not wait for the disk"
    disk.set()
    waiting.join(DEADLINE)
    assert first[0][0] == 200


def test_a_writer_that_cannot_write_is_no_healthy_tracker(service, serving, monkeypatch):
    def broken_disk(connection, rows):
        raise OSError("Input/output error")

    server = serving(service)
    monkeypatch.setattr(service._writer._stored, "store", broken_disk)
    status, _, body = ask(server, "POST", EVENTS, wire(make_event("s")))
    assert (status, "Input/output" in ErrorBody(**json.loads(body)).error) == (500, True)
    status, _, body = ask(server, "GET", "/health", scopes=())
    probes = {probe["name"]: probe for probe in json.loads(body)["probes"]}
    assert (status, probes["Session tracking"]["value"]) == (503, "failing")
    monkeypatch.undo()
    assert ask(server, "POST", EVENTS, wire(make_event("s")))[0] == 200
    assert ask(server, "GET", "/health", scopes=())[0] == 200


def test_the_server_looks_for_silent_sessions(service, serving, monkeypatch):
    """With the times cut short: who is silent at all is silent for too long."""
    monkeypatch.setattr("tracker.server.REAPER_SECONDS", 0.01)
    monkeypatch.setattr(SessionService, "silence", timedelta(0))
    server = serving(service)
    ask(server, "POST", EVENTS, wire(make_event("s", "session_start")))
    until(lambda: service.get_session("s").status == "abandoned", "the session to be given up")


def test_it_does_not_when_the_settings_say_so(service, monkeypatch):
    monkeypatch.setattr(SessionService, "silence", timedelta(0))
    never = Settings.load(service.settings.places, {"SESSION_BUDDY_AUTO_CLEANUP": "false"})
    monkeypatch.setattr(service, "settings", never)
    asyncio.run(asyncio.wait_for(look_for_silence(service), DEADLINE))


def test_asked_to_stop_it_finishes_what_it_has_begun(server, settings):
    acknowledged, refused = [], []

    def send(number):
        with server.client("ingest") as client:
            while True:
                batch = [make_event(f"s{number}") for _ in range(5)]
                try:
                    client.post(EVENTS, wire(*batch))
                except Exception as error:  # noqa: BLE001
                    refused.append(error)
                    return
                acknowledged.extend(event.event_id for event in batch)

    senders = [threading.Thread(target=send, args=[number]) for number in range(4)]
    for sender in senders:
        sender.start()
    until(lambda: len(acknowledged) > 200, "some load")
    code, out, err = server.stop()
    for sender in senders:
        sender.join(DEADLINE)
    assert (code, err) == (0, "")
    assert out.splitlines() == [  # guide 3.2
        f"[INFO] Starting Session-Buddy MCP server on {urlsplit(server.url).netloc}",
        "[INFO] Session tracking enabled",
        "[INFO] Ready to accept connections",
    ]
    assert not settings.database.with_name("sessions.db.wal").exists(), "all is in the file"
    service = SessionService.open(settings, wait=0)
    stored = [row[0] for row in service._database.query("SELECT event_id FROM session_events")]
    service.close()
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))


def test_a_second_server_is_told_who_has_the_database(server, new_server, settings):
    with pytest.raises(Busy, match=rf"session-buddy \(pid {server.process.pid}\)") as refusal:
        SessionService.open(settings, wait=0.1)
    assert refusal.value.exit_code == 3
    # One that waits for it gets it when the first one goes.
    second = new_server(server.places).start(wait=False)
    assert server.stop()[0] == 0
    until(second.healthy, "the second server")
    assert second.stop()[0] == 0


def test_a_port_that_is_taken_leaves_the_database_free(new_server, places, settings):
    server = new_server(places)
    with socket.create_server(("127.0.0.1", urlsplit(server.url).port)):
        server.start(wait=False)
        _, err = server.process.communicate(timeout=DEADLINE)
    assert server.process.returncode == 1
    assert f"port {urlsplit(server.url).port} on 127.0.0.1 is held by" in err
    SessionService.open(settings, wait=0).close()


def test_the_client_s_errors_are_ours(shared_server):
    with shared_server.client("read") as client:
        with pytest.raises(NotFound, match="no session 'nobody'"):
            client.get(f"{SESSIONS}/nobody")
        with pytest.raises(NotAuthorised):
            client.post(EVENTS, {"events": []})
