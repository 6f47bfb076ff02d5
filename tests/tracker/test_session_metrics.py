"""The metrics: the guide's names and types, and numbers that only ever grow (guide 5, 10.4)."""

from __future__ import annotations

import subprocess

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tracker_events import make_event

from tracker.metrics import registry_for
from tracker.sessions import SessionService
from tracker.web.identity import Identity


def scraped(service):
    identity = Identity.of_this_process("session-buddy", service.settings)
    return generate_latest(registry_for(service, identity))


def samples(service):
    """Every sample but those of the process, by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(scraped(service).decode())
        for sample in family.samples
        if not family.name.startswith("process_")
    }


@pytest.fixture
def busy(service, store):
    """A shell that ended, a run that failed, a shell that is open, and a check of our own."""
    runbook = {"component": "mahavishnu", "session_type": "runbook"}
    check = {"component": "acceptance", "session_type": "acceptance"}
    store(
        make_event("shell", "session_start"),
        make_event("shell", "session_end", exit_code=0, duration_seconds=42),
        make_event("run", "session_start", session=runbook),
        make_event("run", "session_end", exit_code=1, duration_seconds=7200.5),
        make_event("open", "session_start", session={"component": "other"}),
        make_event("check", "session_start", session=check),
        make_event("check-2", "session_start", session=check),
        make_event("check", "session_end", exit_code=1),
    )
    return service


def test_sessions_are_counted(busy):
    found = samples(busy)
    assert found["mahavishnu_sessions_total", "mahavishnu"] == 2
    assert found["mahavishnu_sessions_total", "other"] == 1
    assert ("mahavishnu_sessions_total", "acceptance") not in found
    assert found["mahavishnu_sessions_active",] == 1
    assert found["mahavishnu_sessions_failed_total",] == 1
    assert found["mahavishnu_session_duration_seconds_count",] == 2
    assert found["mahavishnu_session_duration_seconds_sum",] == 7242.5
    bucket = "mahavishnu_session_duration_seconds_bucket"
    below = [found[bucket, bound] for bound in ("15.0", "60.0", "7200.0", "14400.0", "+Inf")]
    assert below == [0, 1, 1, 2, 2]


def test_they_outlive_a_restart_and_the_sessions_themselves(busy):
    def lasting(service):
        return {key: value for key, value in samples(service).items() if "mahavishnu_" in key[0]}

    before = lasting(busy)
    busy.close()
    again = SessionService.open(busy.settings, wait=0)
    assert lasting(again) == before
    again._writer.call(
        lambda writing: writing.execute("DELETE FROM sessions WHERE status <> 'active'").fetchall()
    ).result()
    assert lasting(again) == before
    again.close()


def test_the_server_counts_what_it_takes_in(busy, store):
    event = make_event("open")
    store(event)
    store(event)
    found = samples(busy)
    assert found["session_buddy_ingest_events_total", "accepted"] == 9
    assert found["session_buddy_ingest_events_total", "duplicate"] == 1
    assert found["session_buddy_ingest_commits_total",] >= 2
    assert found["session_buddy_database_size_bytes",] > 0


def test_the_last_backup_is_known_after_a_restart(busy):
    name = ("session_buddy_last_successful_backup_timestamp_seconds",)
    assert name not in samples(busy)
    busy.backup()
    noted = samples(busy)[name]
    busy.close()
    again = SessionService.open(busy.settings, wait=0)
    assert samples(again)[name] == noted
    again.close()


def test_the_guide_s_metrics_have_their_types(service):
    types = {
        family.name: family.type
        for family in text_string_to_metric_families(scraped(service).decode())
    }
    assert types["mahavishnu_sessions"] == "counter"
    assert types["mahavishnu_sessions_active"] == "gauge"
    assert types["mahavishnu_sessions_failed"] == "counter"
    assert types["mahavishnu_session_duration_seconds"] == "histogram"


@pytest.mark.needs("promtool")
def test_prometheus_s_own_linter_has_nothing_to_say(busy):
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped(busy), capture_output=True, check=False
    )
    assert (check.returncode, check.stderr) == (0, b"")
