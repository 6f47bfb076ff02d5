"""A database that the server must not touch: it says why in a line, and what to do."""

from __future__ import annotations

import os
import subprocess

import duckdb
import pytest

from schemas.errors import SessionopsError
from schemas.places import Places
from tests.tracker.tracker_events import make_event, wire
from tests.tracker.tracker_servers import DEADLINE, until

EVENTS = "/api/v1/events"


@pytest.fixture
def stopped(server):
    """A server that has stored a session, and has stopped."""
    with server.client("ingest") as client:
        client.post(EVENTS, wire(make_event("s", "session_start"), make_event("s")))
    assert server.stop()[0] == 0
    return server


def refused(server):
    """Start it in vain: its exit code and what it says."""
    server.start(wait=False)
    _, error = server.process.communicate(timeout=DEADLINE)
    assert "Traceback" not in error
    return server.process.returncode, error


def answers(server):
    assert server.process.poll() is None, server.process.stderr.read()
    try:
        with server.client() as client:
            return bool(client.health())
    except SessionopsError:
        return False


def reading(client, number):
    """Read a session's events; what the server complains of, or nothing."""
    try:
        client.get(f"/api/v1/sessions/s{number}/events", limit=1_000)
    except SessionopsError as error:
        return str(error)
    return ""


def database_of(server):
    return server.places.tracker_home / "sessions.db"


def test_a_database_from_a_newer_release_is_left_alone_and_its_reader_named(stopped):
    with duckdb.connect(str(database_of(stopped))) as connection:
        connection.execute(
            "INSERT INTO schema_migrations (version, name, min_reader, release)"
            " VALUES (99, 'from the future', '9.9.0', '9.9.1')"
        )
    before = database_of(stopped).read_bytes()
    code, error = refused(stopped)
    assert code == 2
    assert "schema 99" in error
    assert "release 9.9.0 or newer can read it" in error
    assert "restore the backup made before the upgrade" in error
    assert database_of(stopped).read_bytes() == before


DAMAGES = {
    "its first block overwritten": lambda content: b"\0" * 4096 + content[4096:],
    "both of its headers overwritten": lambda content: (
        content[:4096] + b"\xff" * 8192 + content[12288:]
    ),
    "cut within its headers": lambda content: content[:5000],
    "another program's file": lambda _: b"SQLite format 3\0" + b"\0" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_left_as_it_is_and_the_way_out_is_told(stopped, damage):
    file = database_of(stopped)
    file.write_bytes(damage(file.read_bytes()))
    before = file.read_bytes()
    code, error = refused(stopped)
    assert code == 1
    assert str(file) in error
    assert "restore a backup: invoke restore --backup latest" in error
    assert file.read_bytes() == before


def test_what_is_missing_of_a_file_is_told_as_soon_as_it_is_read(server):
    with server.client("ingest") as client:
        for number in range(4):
            text = [f"{number} {part} " * 40 for part in range(1_000)]
            events = [make_event(f"s{number}", data={"text": line}) for line in text]
            client.post(EVENTS, wire(make_event(f"s{number}", "session_start"), *events))
    server.stop()
    file = database_of(server)
    os.truncate(file, file.stat().st_size // 2)
    server.start(wait=False)
    until(lambda: answers(server), "an answer")
    with server.client("read", "operate") as client:
        found = client.post("/api/v1/database/check")
        assert not found["ok"]
        assert found["findings"][0]["hint"] == "restore a backup: invoke restore --backup latest"
        complaints = [complaint for number in range(4) if (complaint := reading(client, number))]
    assert complaints
    for complaint in complaints:
        assert "the database cannot be read" in complaint
        assert "restore a backup" in complaint


def test_a_log_that_is_rubbish_costs_only_what_was_in_it(stopped):
    database_of(stopped).with_name("sessions.db.wal").write_bytes(b"rubbish" * 1_000)
    stopped.start()
    with stopped.client("read", "operate") as client:
        assert client.get("/api/v1/sessions/s")["event_count"] == 2
        assert client.post("/api/v1/database/check")["ok"]


def test_a_log_that_is_cut_keeps_what_was_whole(server):
    with server.client("ingest") as client:
        client.post(EVENTS, wire(make_event("s", "session_start"), make_event("s")))
        client.post(EVENTS, wire(*(make_event("s") for _ in range(100))))
    server.kill()
    log = database_of(server).with_name("sessions.db.wal")
    log.write_bytes(log.read_bytes()[:-20])
    server.start()
    with server.client("read", "operate") as client:
        assert 2 <= client.get("/api/v1/sessions/s")["event_count"] <= 102
        assert client.post("/api/v1/database/check")["ok"]


def test_a_folder_that_cannot_be_written_is_told(new_server, places, small_disk):
    elsewhere = Places(home=places.home, tracker_home=places.tracker_home)
    server = new_server(elsewhere)
    server.environ["SESSION_BUDDY_DB_PATH"] = str(small_disk.path / "sessions.db")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk.path)], check=True)
    code, error = refused(server)
    assert code == 2
    assert f"{small_disk.path}/sessions.db" in error
    assert "Read-only file system" in error
    assert "make the folder writable, or set session_buddy.db_path" in error


def test_a_second_server_names_the_first_and_leaves_it_alone(server, new_server, places):
    second = new_server(places)
    code, error = refused(second)
    assert code == 3
    assert f"session-buddy (pid {server.process.pid})" in error
    assert server.healthy()
