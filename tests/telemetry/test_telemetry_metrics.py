"""What a real tracker tells Prometheus of itself."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families
from telemetry_servers import EVENTS, SESSIONS, made

from schemas.session import Event
from tracker.client.emitter import Emitter
from tracker.client.facts import session_facts
from tracker.client.spool import REJECTED
from tracker.client.spool_census import SAMPLES, take_census
from tracker.sessions import SessionService
from tracker.store.totals import Totals
from tracker.web.traffic import NO_ROUTE, REASONS, Traffic

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
LOST = ("session_buddy_events_lost_total",)
ACCEPTANCE = {"component": "acceptance", "session_type": "acceptance"}


def busy(tracker):
    """A tracker that has seen everything that a metric is made for."""
    tracker.send(made("shell", "session_start"), made("shell", "gap", data={"dropped": 3}))
    tracker.send(made("shell", "session_end", exit_code=1))
    tracker.ask("GET", f"{SESSIONS}/nobody", scope="read")
    tracker.ask("GET", "/api/v1/search?q=shell", scope="read")
    assert tracker.ask("POST", "/api/v1/backups", {}, scope="operate").status == 200
    spooled(tracker, "one", "two")
    return tracker


def spooled(tracker, *texts):
    """Record a session that stays in the spool of this machine."""
    emitter = Emitter(
        session_facts("mahavishnu", "admin_shell"), tracker.settings, delivery="manual"
    )
    emitter.start()
    for text in texts:
        emitter.emit("command", {"text": text})
    return emitter


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("filled", [False, True], ids=["empty", "busy"])
class TestTheExposition:
    @pytest.fixture
    def scraped(self, tracker, filled):
        tracker.start()
        return busy(tracker) if filled else tracker

    def test_promtool_has_nothing_to_say_of_it(self, scraped):
        check = subprocess.run(
            ["promtool", "check", "metrics"],
            input=scraped.scrape(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (check.returncode, check.stderr) == (0, "")

    def test_is_open_metrics_for_who_asks_for_that(self, scraped):
        text = scraped.scrape(OPEN_METRICS)
        assert text.endswith("# EOF\n")
        as_open = {family.name for family in open_families(text)}
        as_text = {family.name for family in text_string_to_metric_families(scraped.scrape())}
        assert as_open == as_text


def test_requests_are_counted_by_the_template_of_their_route_and_never_by_what_was_asked(tracker):
    tracker.start()
    tracker.send(made("a", "session_start"))
    for number in range(20):
        tracker.ask("GET", f"{SESSIONS}/nobody-{number}", scope="read")
        tracker.ask("GET", f"/wp-admin/{number}")
    tracker.ask("BREW", f"{SESSIONS}/x")
    found = {
        key[1:]: value
        for key, value in tracker.samples().items()
        if key[0] == "session_buddy_http_requests_total"
    }
    template = f"{SESSIONS}/{{session_id}}"
    assert found["POST", EVENTS, "200"] == 1
    assert found["GET", template, "404"] == 20
    assert found["GET", NO_ROUTE, "404"] == 20
    assert {route for _, route, _ in found} == {EVENTS, template, NO_ROUTE, "/health"}
    assert (
        tracker.samples()["session_buddy_http_request_duration_seconds_count", "POST", EVENTS] == 1
    )


def test_refusals_are_counted_by_their_reason(tracker):
    tracker.start()
    tracker.ask("GET", SESSIONS)
    tracker.ask("GET", SESSIONS, scope="ingest")
    tracker.ask("POST", EVENTS, {"events": [{"event_id": 1}]}, scope="ingest")
    tracker.ask("GET", "/health", headers={"Host": "elsewhere.example"})
    tracker.ask("POST", EVENTS, scope="ingest", headers={"Content-Length": "99999999"})
    found = tracker.samples()
    counts = {
        reason: found["session_buddy_http_refused_total", reason] for reason in REASONS.values()
    }
    assert counts == {
        "invalid": 1,
        "no_token": 1,
        "forbidden": 1,
        "too_large": 1,
        "foreign_host": 1,
        "busy": 0,
        "too_many": 0,
        "disk_full": 0,
    }


@pytest.mark.parametrize(("status", "reason"), [(429, "too_many"), (507, "disk_full")])
def test_a_full_queue_and_a_full_disk_are_reasons(status, reason):
    traffic = Traffic()
    traffic.note("POST", EVENTS, status, 0.1)
    traffic.note("POST", EVENTS, 404, 0.1)
    assert {name for name, count in traffic.refused().items() if count} == {reason}


def test_methods_that_somebody_makes_up_are_one():
    traffic = Traffic()
    for number in range(50):
        traffic.note(f"M{number}", "", 404, 0.0)
    assert [(key, answers.statuses) for key, answers in traffic.answers().items()] == [
        (("other", NO_ROUTE), {404: 50})
    ]


def test_the_sizes_of_batches_are_a_histogram(tracker):
    tracker.start()
    tracker.send(made("a", "session_start"))
    tracker.send(*(made("a") for _ in range(50)))
    found = tracker.samples()
    bucket = "session_buddy_ingest_batch_events_bucket"
    assert [found[bucket, bound] for bound in ("1.0", "30.0", "100.0", "+Inf")] == [1, 1, 2, 2]
    assert found["session_buddy_ingest_batch_events_sum",] == 51


class TestEventsThatWereLost:
    def test_are_counted_once_and_outlive_restart_archive_and_deletion(self, tracker):
        tracker.start()
        gap = made("a", "gap", data={"dropped": 7, "reason": "the disk is full"})
        tracker.send(made("a", "session_start"), gap)
        tracker.send(gap)
        tracker.send(made("b", "session_start"), made("b", "gap", data={"dropped": 5}))
        tracker.send(made("a", "session_end"), made("b", "session_end"))
        assert tracker.samples()[LOST] == 12
        assert tracker.stop()[0] == 0
        tracker.start()
        assert tracker.samples()[LOST] == 12
        assert tracker.ask("DELETE", f"{SESSIONS}/a", scope="admin").status == 200
        assert tracker.samples()[LOST] == 12

    def test_stay_counted_when_their_session_is_archived(self, tracker):
        service = SessionService.open(tracker.settings, wait=0)
        old = (datetime.now(UTC) - timedelta(days=40)).isoformat()
        events = [
            made("a", "session_start", timestamp=old),
            made("a", "gap", timestamp=old, data={"dropped": 2}),
            made("a", "session_end", timestamp=old),
        ]
        service.ingest([Event(**event) for event in events]).result()
        assert service.maintenance.archive(30).sessions == 1
        assert service.totals().stored["events_lost", ""] == 2
        service.close()

    def test_count_also_when_the_start_of_their_session_is_among_them(self, tracker):
        tracker.start()
        tracker.send(made("late", "gap", data={"dropped": 4}))
        assert tracker.samples()[LOST] == 4
        tracker.send(made("late", "session_start"))
        assert tracker.samples()[LOST] == 4

    @pytest.mark.parametrize("dropped", [-1, "9", None, True, [3], 1.5, {}])
    def test_are_whole_numbers_above_nothing(self, tracker, dropped):
        service = SessionService.open(tracker.settings, wait=0)
        events = [made("a", "session_start"), made("a", "gap", data={"dropped": dropped})]
        service.ingest([Event(**event) for event in events]).result()
        assert ("events_lost", "") not in service.totals().stored
        service.close()


def test_acceptance_sessions_count_in_no_metric_of_sessions(tracker):
    service = SessionService.open(tracker.settings, wait=0)

    def counted():
        totals: Totals = service.totals()
        return totals.by_status, totals.stored

    before = counted()
    events = [
        made("check", "session_start", session=ACCEPTANCE),
        made("check", "gap", data={"dropped": 3}),
        made("check", "error"),
        made("check", "session_end", exit_code=1),
        made("silent", "session_start", session=ACCEPTANCE),
    ]
    service.ingest([Event(**event) for event in events]).result()
    assert service.mark_abandoned(datetime.now(UTC) + timedelta(days=1)) == ["silent"]
    service.ingest([Event(**made("silent", "gap", data={"dropped": 1}))]).result()
    service.maintenance.delete_session("silent", actor="test")
    assert counted() == before
    service.close()


class TestTheSpool:
    def test_of_this_machine_is_told(self, tracker):
        first = spooled(tracker, "one", "two")
        spooled(tracker)
        (tracker.places.spool / REJECTED).mkdir()
        (tracker.places.spool / REJECTED / "x.jsonl").write_text('{"line": "a"}\n{"line": "b"}\n')
        tracker.start()
        found = tracker.samples()
        assert found["session_buddy_spool_files",] == 2
        assert found["session_buddy_spool_events",] == 4
        sizes = [path.stat().st_size for path in tracker.places.spool.glob("*.jsonl")]
        assert found["session_buddy_spool_size_bytes",] == sum(sizes)
        assert found["session_buddy_spool_rejected_lines",] == 2
        oldest = found["session_buddy_spool_oldest_event_timestamp_seconds",]
        assert 0 <= datetime.now(UTC).timestamp() - oldest < 600
        assert first.flush(20)
        assert tracker.samples()["session_buddy_spool_files",] == 1

    def test_that_is_empty_has_no_oldest_event(self, tracker):
        tracker.start()
        found = tracker.samples()
        assert found["session_buddy_spool_events",] == 0
        assert ("session_buddy_spool_oldest_event_timestamp_seconds",) not in found

    def test_is_looked_at_without_reading_it(self, tmp_path, monkeypatch):
        line = b'{"timestamp": "2026-11-23T09:00:00+00:00", "data": "........"}\n'
        for number in range(SAMPLES + 40):
            (tmp_path / f"{number:04}.jsonl").write_bytes(line * 3)
        (tmp_path / "9999.jsonl").write_bytes(line * 100_000)
        opened, read = [], []
        really_open, really_read = os.open, os.read
        monkeypatch.setattr(os, "open", lambda *given: opened.append(given) or really_open(*given))
        monkeypatch.setattr(os, "read", lambda *given: read.append(given[1]) or really_read(*given))
        census = take_census(tmp_path)
        assert len(opened) == SAMPLES
        assert sum(read) < 2_000_000
        assert census.files == SAMPLES + 41
        assert census.events == (SAMPLES + 40) * 3 + 100_000
        assert census.oldest == datetime(2026, 11, 23, 9, tzinfo=UTC)

    def test_may_hold_what_is_no_spool_file(self, tmp_path):
        (tmp_path / "rubbish.jsonl").write_bytes(b"\xff\x00 no line at all")
        (tmp_path / "deep.jsonl").write_bytes(b"[" * 10_000)
        (tmp_path / "link.jsonl").symlink_to("/etc/passwd")
        os.mkfifo(tmp_path / "pipe.jsonl")
        (tmp_path / "folder.jsonl").mkdir()
        census = take_census(tmp_path)
        assert (census.files, census.oldest) == (2, None)
        assert census.events >= 1


def test_a_backup_is_taken_and_then_proven(tracker):
    tracker.start()
    names = [
        f"session_buddy_last_{kind}_backup_timestamp_seconds" for kind in ("successful", "verified")
    ]
    assert not [key for key in tracker.samples() if key[0] in names]
    tracker.ask("POST", "/api/v1/backups", {}, scope="operate")
    taken, proven = (tracker.samples()[name,] for name in names)
    assert 0 < taken <= proven
    # One that fails moves neither.
    refused = tracker.ask("POST", "/api/v1/backups", {"directory": "/dev/null/x"}, scope="operate")
    assert refused.status >= 400
    assert [tracker.samples()[name,] for name in names] == [taken, proven]


def test_stored_sessions_by_status(tracker):
    tracker.start()
    tracker.send(made("a", "session_start"), made("b", "session_start"))
    tracker.send(made("b", "session_end", exit_code=3))
    found = tracker.samples()
    by_status = {
        status: found["session_buddy_sessions", status]
        for status in ("active", "ended", "failed", "abandoned")
    }
    assert by_status == {"active": 1, "ended": 0, "failed": 1, "abandoned": 0}
