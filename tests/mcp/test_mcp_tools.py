"""The tools that read, as the library's client calls them."""

from __future__ import annotations

import asyncio
import json

import pytest
from mcp.shared.exceptions import MCPError

from tracker.client.emitter import Emitter
from tracker.client.facts import session_facts

GUIDES = {
    "list_sessions": {"limit", "offset", "session_type", "component"},
    "get_session": {"session_id"},
    "list_events": {"session_id"},
    "analytics_sessions": {"range_days"},
}
"""The guide's signatures (9.4)."""

TRACKING = {"track_session_start", "track_session_end"}
OTHERS = {"search_sessions", "health_check"}
WAYS = [
    ("http", "auto", "2026-07-28"),
    ("http", "legacy", "2025-11-25"),
    ("stdio", "auto", "2026-07-28"),
    ("stdio", "legacy", "2025-11-25"),
]


def recorded(tracker, component, *texts, session_type="admin_shell", exit_code=0):
    """A session as a shell records it; its id."""
    facts = session_facts(component, session_type, version="1.0")
    emitter = Emitter(facts, tracker.settings, delivery="manual")
    emitter.start()
    for text in texts:
        emitter.emit("command", {"text": text, "outcome": "ok"}, exit_code=0)
    emitter.end(exit_code)
    return emitter.session_id


@pytest.fixture(scope="module")
def sessions(tracker):
    """Four sessions, the newest first."""
    made = [
        recorded(tracker, "mahavishnu", "top()", "errors(5)"),
        recorded(tracker, "mahavishnu", "backup started", session_type="runbook", exit_code=1),
        recorded(tracker, "other", "ps()"),
        recorded(tracker, "mahavishnu", *(f"command {number}" for number in range(5))),
    ]
    return made[::-1]


def ids(answer):
    return [session["session_id"] for session in answer["sessions"]]


@pytest.mark.parametrize(("over", "mode", "version"), WAYS)
class TestEveryWay:
    def test_the_tools_are_described(self, tracker, over, mode, version):
        async def listed():
            async with tracker.connected(over, mode=mode) as client:
                return client.protocol_version, (await client.list_tools()).tools

        spoken, tools = asyncio.run(listed())
        assert spoken == version
        assert {tool.name for tool in tools} == set(GUIDES) | TRACKING | OTHERS
        for tool in tools:
            assert tool.description
            assert tool.input_schema["additionalProperties"] is False
            assert tool.output_schema["type"] == "object"
            assert tool.annotations.read_only_hint is (tool.name not in TRACKING)
            assert set(tool.input_schema["properties"]) >= GUIDES.get(tool.name, set())

    def test_an_answer_is_structured_and_the_same_as_text(
        self, tracker, sessions, over, mode, version
    ):
        result = tracker.call("list_sessions", {"limit": 4}, over=over, mode=mode)
        assert ids(result.structured_content) == sessions
        assert json.loads(result.content[0].text) == result.structured_content

    def test_a_tool_that_does_not_exist_is_named(self, tracker, over, mode, version):
        async def called():
            async with tracker.connected(over, mode=mode) as client:
                with pytest.raises(MCPError, match="there is no tool 'löschen'"):
                    await client.call_tool("löschen", {})

        asyncio.run(called())


class TestListSessions:
    def test_nothing_is_hidden(self, tracker, sessions):
        assert ids(tracker.answer("list_sessions")) == sessions

    @pytest.mark.parametrize(
        ("arguments", "chosen"),
        [
            ({"component": "other"}, [1]),
            ({"component": None}, [0, 1, 2, 3]),
            ({"session_type": "runbook"}, [2]),
            ({"status": "failed"}, [2]),
            ({"limit": 2}, [0, 1]),
            ({"limit": 2, "offset": 1}, [1, 2]),
            ({"since": "1h"}, [0, 1, 2, 3]),
            ({"until": "1h"}, []),
            ({"user": "nobody-of-that-name"}, []),
        ],
    )
    def test_filters_and_pages(self, tracker, sessions, arguments, chosen):
        answer = tracker.answer("list_sessions", arguments)
        assert ids(answer) == [sessions[index] for index in chosen]

    def test_pages_follow_each_other(self, tracker, sessions):
        seen, cursor = [], None
        while len(seen) < len(sessions):
            page = tracker.answer("list_sessions", {"limit": 3, "cursor": cursor})
            seen += ids(page)
            cursor = page["next"]
            assert page["total"] == len(sessions)
        assert (seen, cursor) == (sessions, None)

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"limit": 0}, "limit"),
            ({"limit": 1001}, "limit"),
            ({"limit": "5"}, "limit"),
            ({"offset": -1}, "offset"),
            ({"status": "asleep"}, "status"),
            ({"componnt": "other"}, "componnt"),
            ({"since": "yesterday-ish"}, "not a time"),
            ({"cursor": "made up"}, "cursor"),
        ],
    )
    def test_what_is_wrong_is_said(self, tracker, arguments, says):
        result = tracker.call("list_sessions", arguments)
        assert result.is_error
        assert says in result.content[0].text


class TestOneSession:
    def test_its_facts(self, tracker, sessions):
        answer = tracker.answer("get_session", {"session_id": sessions[2]})
        assert (answer["status"], answer["exit_code"]) == ("failed", 1)

    @pytest.mark.parametrize("tool", ["get_session", "list_events"])
    def test_one_that_does_not_exist_is_named(self, tracker, tool):
        result = tracker.call(tool, {"session_id": "nobody"})
        assert result.is_error
        assert "nobody" in result.content[0].text

    def test_its_events_in_pages(self, tracker, sessions):
        texts, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            page = tracker.answer(
                "list_events", {"session_id": sessions[0], "limit": 3, "cursor": cursor}
            )
            texts += [event["data"].get("text") for event in page["events"]]
            cursor, pages = page["next"], pages + 1
        assert texts == [None, *(f"command {number}" for number in range(5)), None]
        assert pages == 3


class TestNumbers:
    def test_of_the_last_days(self, tracker, sessions):
        answer = tracker.answer("analytics_sessions", {"range_days": 1})
        assert (answer["sessions"], answer["failed"]) == (4, 1)
        assert {group["name"] for group in answer["by_component"]} == {"mahavishnu", "other"}

    @pytest.mark.parametrize(
        "arguments", [{"range_days": 0}, {"range_days": "7"}, {"zone": "Mars/Olympus"}]
    )
    def test_a_range_that_is_none_is_refused(self, tracker, arguments):
        assert tracker.call("analytics_sessions", arguments).is_error


class TestSearch:
    def test_by_words(self, tracker, sessions):
        answer = tracker.answer("search_sessions", {"query": "backup", "search_type": "text"})
        assert [hit["session"]["session_id"] for hit in answer["hits"]] == [sessions[2]]

    def test_filters(self, tracker, sessions):
        asked = {"query": "backup", "search_type": "text", "component": "other"}
        assert tracker.answer("search_sessions", asked)["hits"] == []

    def test_by_meaning_without_a_model_says_how_to_get_one(self, tracker, sessions):
        result = tracker.call("search_sessions", {"query": "backup", "search_type": "semantic"})
        assert result.is_error
        assert "session-buddy models fetch" in result.content[0].text

    @pytest.mark.parametrize(
        "arguments", [{}, {"query": ""}, {"query": "a", "search_type": "magic"}]
    )
    def test_what_cannot_be_searched_is_refused(self, tracker, arguments):
        assert tracker.call("search_sessions", arguments).is_error
