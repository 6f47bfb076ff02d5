"""What the shells of the Oneiric family send, and what they get back for it."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

import pytest
import yaml

CALLS = yaml.safe_load(Path(__file__).with_name("emitter_calls.yaml").read_text(encoding="utf-8"))
EXAMPLE = {"start": CALLS["start"], "end": CALLS["end"] | {"session_id": "0000000000000000"}}


def cases(name):
    return [pytest.param(case, id=title) for title, case in CALLS[name].items()]


def changed(which, case):
    """The example with the changes of a case."""
    arguments = {
        key: value for key, value in EXAMPLE[which].items() if key not in case.get("without", ())
    }
    arguments |= case.get("change", {})
    for key, inner in case.get("nested", {}).items():
        arguments[key] = EXAMPLE[which][key] | inner
    return json.loads(json.dumps(arguments), object_hook=lengthened)


def lengthened(content):
    """``long*5`` is a text of five letters."""
    return {
        key: "x" * int(value[5:]) if isinstance(value, str) and value[:5] == "long*" else value
        for key, value in content.items()
    }


def new_start(**changes):
    return EXAMPLE["start"] | {"event_id": str(uuid.uuid4())} | changes


def end_of(session_id, **changes):
    return EXAMPLE["end"] | {"session_id": session_id} | changes


def totals(tracker):
    """Every counter of sessions and what it says."""
    with tracker.client() as client:
        lines = b"".join(client.stream("/metrics")).decode().splitlines()
    return {line for line in lines if line.startswith("mahavishnu_session")}


class TestStart:
    @pytest.mark.parametrize("over", ["http", "stdio"])
    def test_the_answer_is_structured_and_the_same_as_text(self, tracker, over):
        result = tracker.call("track_session_start", new_start(), over=over, mode="legacy")
        assert result.is_error is False
        answer = result.structured_content
        assert answer == {"session_id": answer["session_id"], "status": "tracked", "error": None}
        assert [json.loads(part.text) for part in result.content] == [answer]

    def test_what_was_sent_is_what_is_stored(self, tracker):
        tracked = tracker.answer("track_session_start", new_start())
        stored = tracker.answer("get_session", {"session_id": tracked["session_id"]})
        assert stored["status"] == "active"
        assert stored["start_time"] == "2026-11-23T06:37:08.552926Z"
        wanted = {
            "component": "mahavishnu",
            "session_type": "admin_shell",
            "user": "unknown",
            "host": "vm",
            "cwd": "/home/ops/work",
            "pid": 24313,
            "version": "0.14.0",
        }
        assert {key: stored[key] for key in wanted} == wanted
        assert stored["metadata"] == {
            "component_version": "0.14.0",
            "adapters": [],
            "shell_type": "MahavishnuShell",
            "home": "/home/ops",
            "python_version": "3.13.0",
            "platform": "Linux-6.1",
        }

    def test_a_token_among_the_arguments_is_not_stored(self, tracker):
        secret = "eyJ-among-the-arguments"
        tracked = tracker.answer("track_session_start", new_start(token=secret))
        events = tracker.answer("list_events", {"session_id": tracked["session_id"]})
        session = tracker.answer("get_session", {"session_id": tracked["session_id"]})
        assert secret not in json.dumps([events, session])
        assert secret not in (tracker.places.tracker_log / "session-buddy.log").read_text()

    @pytest.mark.parametrize("case", cases("taken_starts"))
    def test_taken(self, tracker, case):
        answer = tracker.answer("track_session_start", changed("start", case))
        assert answer["status"] == "tracked"
        assert tracker.answer("get_session", {"session_id": answer["session_id"]})

    @pytest.mark.parametrize("case", cases("refused_starts"))
    def test_refused(self, tracker, case):
        result = tracker.call("track_session_start", changed("start", case))
        assert result.is_error is True
        assert result.structured_content is None
        assert f" {case['says']}: " in result.content[0].text

    @pytest.mark.parametrize("case", cases("unstorable_starts"))
    def test_what_cannot_be_stored_is_told_in_the_answer(self, tracker, case):
        answer = tracker.answer("track_session_start", changed("start", case) | {"event_id": FRESH})
        assert answer["session_id"] is None
        assert answer["status"] == "error"
        assert answer["error"]

    def test_two_shells_that_start_in_one_second_are_two_sessions(self, tracker):
        answers = [tracker.answer("track_session_start", new_start()) for _ in range(2)]
        assert answers[0]["session_id"] != answers[1]["session_id"]

    def test_the_same_event_again_is_the_same_session(self, up):
        first = up.answer("track_session_start", new_start(event_id=FRESH))
        before = totals(up)
        up.stop()
        up.start()
        later = new_start(event_id=FRESH.upper(), timestamp="2026-11-23T06:37:09.000000+00:00")
        assert up.answer("track_session_start", later) == first
        assert up.answer("list_sessions")["total"] == 1
        assert totals(up) == before

    def test_the_same_event_many_times_at_once_is_one_session(self, up):
        async def at_once():
            async with up.connected() as client:
                call = client.call_tool("track_session_start", new_start(event_id=FRESH))
                again = [
                    client.call_tool("track_session_start", new_start(event_id=FRESH))
                    for _ in range(9)
                ]
                return await asyncio.gather(call, *again)

        results = asyncio.run(at_once())
        assert len({result.structured_content["session_id"] for result in results}) == 1
        assert up.answer("list_sessions")["total"] == 1


class TestEnd:
    def test_the_answer(self, tracker):
        session_id = tracker.answer("track_session_start", new_start())["session_id"]
        result = tracker.call("track_session_end", end_of(session_id))
        assert result.is_error is False
        assert result.structured_content == {
            "session_id": session_id,
            "status": "ended",
            "error": None,
        }
        assert json.loads(result.content[0].text) == result.structured_content
        stored = tracker.answer("get_session", {"session_id": session_id})
        assert (stored["status"], stored["duration_seconds"]) == ("ended", 0.017517)

    def test_the_whole_answer_to_the_start_names_the_session(self, tracker):
        start = tracker.call("track_session_start", new_start())
        whole = start.content[0].text
        ended = tracker.answer("track_session_end", end_of(whole))
        assert (ended["session_id"], ended["status"]) == (json.loads(whole)["session_id"], "ended")

    def test_twice_is_once(self, up):
        session_id = up.answer("track_session_start", new_start())["session_id"]
        first = up.answer("track_session_end", end_of(session_id))
        before = totals(up)
        assert up.answer("track_session_end", end_of(session_id)) == first
        assert up.answer("get_session", {"session_id": session_id})["event_count"] == 2
        assert totals(up) == before

    def test_of_a_session_that_does_not_exist_moves_no_counter(self, up):
        before = totals(up)
        for session_id in ("0000000000000000", "", "no such/thing", '{"session_id": null}'):
            ended = up.answer("track_session_end", end_of(session_id))
            assert (ended["session_id"], ended["status"]) == (session_id, "not_found")
        assert totals(up) == before
        with up.client("read") as client:
            assert client.get("/api/v1/events")["events"] == []

    @pytest.mark.parametrize(
        ("metadata", "duration", "status"),
        [
            (None, 0.017517, "ended"),
            ({"duration_seconds": 12.5}, 12.5, "ended"),
            ({"duration_seconds": "12"}, 0.017517, "ended"),
            ({"exit_code": 0}, 0.017517, "ended"),
            ({"exit_code": 3}, 0.017517, "failed"),
            ({"reason": "crash"}, 0.017517, "failed"),
        ],
    )
    def test_metadata_is_understood(self, tracker, metadata, duration, status):
        session_id = tracker.answer("track_session_start", new_start())["session_id"]
        tracker.answer("track_session_end", end_of(session_id, metadata=metadata))
        stored = tracker.answer("get_session", {"session_id": session_id})
        assert (stored["duration_seconds"], stored["status"]) == (duration, status)

    def test_a_time_that_cannot_be_is_told_in_the_answer(self, tracker):
        session_id = tracker.answer("track_session_start", new_start())["session_id"]
        late = end_of(session_id, timestamp="2999-01-01T00:00:00")
        answer = tracker.answer("track_session_end", late)
        assert (answer["session_id"], answer["status"]) == (session_id, "error")
        assert "2999" in answer["error"]
        assert tracker.answer("get_session", {"session_id": session_id})["status"] == "active"

    @pytest.mark.parametrize("case", cases("refused_ends"))
    def test_refused(self, tracker, case):
        result = tracker.call("track_session_end", changed("end", case))
        assert result.is_error is True
        assert f" {case['says']}: " in result.content[0].text


class TestHealthCheck:
    def test_it_is_what_the_route_says(self, tracker):
        result = tracker.call("health_check")
        assert not result.is_error
        with tracker.client() as client:
            known = client.health().as_dict()
        answer = result.structured_content
        assert (answer["pid"], answer["service"]) == (known["pid"], "session-buddy")
        assert answer["status"] == known["status"] == "healthy"

    def test_it_takes_nothing(self, tracker):
        assert tracker.call("health_check", {"deep": True}).is_error


FRESH = "0a4f9a7c-9d0c-4a6e-8f4e-0d5f5d3c2b1a"
