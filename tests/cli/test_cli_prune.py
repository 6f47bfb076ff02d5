"""``session-buddy prune`` as people run it."""

from __future__ import annotations

import json

import pytest

from tracker.client.delivery import EVENTS_PATH
from tracker.client.identifiers import session_identifier

SECRET = "hunter2Xyz"


@pytest.fixture
def leaky(up):
    """A session that was recorded before any pattern knew its secret; gone after the test."""
    leaky = session_identifier()
    events = [
        {
            "event_id": f"{leaky}-{number}",
            "session_id": leaky,
            "event_type": kind,
            "timestamp": f"2026-11-23T09:00:0{number}+00:00",
            **more,
        }
        for number, (kind, more) in enumerate(
            [
                ("session_start", {"session": {"component": "mahavishnu"}}),
                ("command", {"data": {"text": f"psql --password {SECRET}"}}),
            ]
        )
    ]
    with up.client("ingest") as client:
        client.post(EVENTS_PATH, {"events": events})
    up.leaky = leaky
    yield up
    up.output("delete-session", leaky, "--yes")


@pytest.mark.parametrize("options", [[], ["--dry-run", "--apply"]])
def test_one_of_the_two_options_is_needed(up, options):
    result = up.run("prune", *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert "say one of --dry-run and --apply" in result.stderr


def test_first_it_is_shown_then_done_then_there_is_nothing_left(leaky):
    assert leaky.output("prune", "--dry-run").splitlines() == [
        "1 events and 0 sessions would be masked",
        "  option: 1",
        "do it with: session-buddy prune --apply",
    ]
    leaky.output("backup", "create")
    done = leaky.output("prune", "--apply").splitlines()
    assert done[:2] == ["1 events and 0 sessions masked", "  option: 1"]
    assert done[2].startswith("the old text is gone from the database file (")
    assert done[3].endswith("make a new one (session-buddy backup create), then delete those")
    assert str(leaky.places.backups) in done[3]
    events = json.loads(
        leaky.output("list-events", "--session-id", leaky.leaky, "--format", "json")
    )
    assert [event["data"].get("text") for event in events] == [None, "psql --password ********"]
    assert leaky.output("prune", "--dry-run") == "0 events and 0 sessions would be masked\n"
    assert leaky.output("prune", "--apply") == "0 events and 0 sessions masked\n"


def test_as_json(leaky):
    found = json.loads(leaky.output("prune", "--dry-run", "--format", "json"))
    assert (found["events"], found["patterns"]) == (1, {"option": 1})
    assert found["seen"] == found["total"]
    assert SECRET not in json.dumps(found)
