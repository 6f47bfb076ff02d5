"""Clocks that are wrong: events from the future, and a server whose own clock is set back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.tracker.tracker_events import make_event, wire
from tracker.client.http import Rejected

EVENTS = "/api/v1/events"
HOUR = 3600.0
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class Clock:
    """The clock that a server believes in; the tests' own goes along, for the tokens they make."""

    def __init__(self, file, monkeypatch):
        self._file = file
        self._monkeypatch = monkeypatch
        self.set(0)

    def set(self, seconds):
        self._file.write_text(f"{seconds:+d}\n")
        real = time.time
        self._monkeypatch.undo()
        self._monkeypatch.setattr(time, "time", lambda: real() + seconds)

    def environ(self):
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            # As on a real machine, setting the clock moves no timer.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def clock(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        yield Clock(tmp_path / "clock", patch)


@pytest.fixture
def clocked(new_server, places, clock):
    server = new_server(places)
    server.environ |= clock.environ() | {"MAHAVISHNU_SESSION_CHECKPOINT_INTERVAL": "10"}
    return server.start()


def now(seconds=0.0):
    return datetime.now(UTC) + timedelta(seconds=seconds)


def at(moment, session_id, kind="command", **more):
    event = make_event(session_id, kind, **more)
    event.timestamp = moment
    return event


def pages(client, path, key, cursor):
    """All records of a list, page by page, by their ids."""
    found, after = [], ""
    while after is not None:
        page = client.get(path, limit=7, **{cursor: after or None})
        found += [record.get("event_id") or record["session_id"] for record in page[key]]
        after = page["next"]
    return found


def test_events_from_the_future_are_taken_up_to_a_day_and_walked_through(server):
    with server.client("ingest", "read", "operate") as client:
        with pytest.raises(Rejected, match="cannot be right"):
            client.post(EVENTS, wire(at(now(25 * HOUR), "late", "session_start")))
        events = [at(now(23 * HOUR), "early", "session_start")]
        events += [at(now(hour * HOUR), "early") for hour in range(-20, 23)]
        client.post(EVENTS, wire(*events))
        client.post(EVENTS, wire(at(now(), "now", "session_start"), at(now(), "now")))
        found = pages(client, "/api/v1/sessions/early/events", "events", "after")
        assert sorted(found) == sorted(event.event_id for event in events)
        assert pages(client, "/api/v1/sessions", "sessions", "cursor") == ["early", "now"]
        found = pages(client, EVENTS, "events", "cursor")
        assert len(found) == len(set(found)) == len(events) + 2
        client.post(EVENTS, wire(at(now(), "early", "session_end", exit_code=0)))
        session = client.get("/api/v1/sessions/early")
        # It ended before it began, so it says.
        assert (session["status"], session["duration_seconds"]) == ("ended", 0.0)
        assert client.post("/api/v1/database/check")["ok"]


@pytest.mark.needs("faketime")
def test_a_clock_that_is_set_back_loses_and_doubles_nothing(clocked, clock):
    with clocked.client("ingest", "read") as client:
        client.post(EVENTS, wire(at(now(), "s", "session_start"), at(now(), "s")))
        first = client.get("/api/v1/sessions/s")
    clock.set(-3600)
    with clocked.client("ingest", "read", "operate") as client:
        for _ in range(20):
            client.post(EVENTS, wire(at(datetime.fromtimestamp(time.time(), UTC), "s")))
        client.post(EVENTS, wire(at(now(-HOUR), "t", "session_start")))
        session = client.get("/api/v1/sessions/s")
        assert session["event_count"] == 22
        # What was heard later never makes a session look as if it had been heard of less lately.
        assert session["last_seen"] == first["last_seen"]
        assert session["status"] == "active"
        found = pages(client, "/api/v1/sessions/s/events", "events", "after")
        assert len(found) == len(set(found)) == 22
        events = client.get("/api/v1/sessions/s/events")["events"]
        arrivals = [datetime.fromisoformat(event["received_at"]) for event in events]
        assert max(arrivals) - min(arrivals) > timedelta(minutes=55)
        assert pages(client, "/api/v1/sessions", "sessions", "cursor") == ["s", "t"]
        assert client.post("/api/v1/database/check")["ok"]
        made = client.post("/api/v1/backups")
    latest = clocked.places.backups / "sessions-latest.db.zst"
    assert latest.resolve().name == made["name"]
    clock.set(0)
    with clocked.client("ingest", "read") as client:
        client.post(EVENTS, wire(at(now(), "s", "session_end", exit_code=0)))
        assert client.get("/api/v1/sessions/s")["status"] == "ended"


@pytest.mark.needs("faketime")
def test_a_server_that_starts_with_its_clock_set_back_reads_what_is_from_later(clocked, clock):
    with clocked.client("ingest") as client:
        client.post(EVENTS, wire(at(now(), "s", "session_start"), at(now(), "s")))
    clocked.kill()
    clock.set(-2 * 3600)
    clocked.start()
    with clocked.client("ingest", "read", "operate") as client:
        client.post(EVENTS, wire(at(now(-2 * HOUR), "s")))
        assert client.get("/api/v1/sessions/s")["event_count"] == 3
        assert client.get("/api/v1/analytics/sessions")
        assert client.post("/api/v1/database/check")["ok"]
