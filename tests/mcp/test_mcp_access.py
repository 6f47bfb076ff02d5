"""Who may ask ``/mcp``: the same tokens, hosts and origins as for every other route."""

from __future__ import annotations

import pytest
from mcp_clients import ACCEPT

from tracker.client.tokens import local_token

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def call(name, **arguments):
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


class TestTokens:
    def test_none_is_401_in_the_shape_of_every_other_route(self, tracker):
        answer = tracker.post(LIST)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json().keys() == {"error", "hint", "request_id"}

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda _: "nonsense", id="nonsense"),
            pytest.param(
                lambda tracker: tracker.token("read")[:-4] + "AAAA", id="another signature"
            ),
            pytest.param(
                lambda tracker: local_token(tracker.settings, "mahavishnu", ["read"]),
                id="for the other server",
            ),
        ],
    )
    def test_a_wrong_one_is_401(self, tracker, make):
        assert tracker.post(LIST, token=make(tracker)).status_code == 401

    def test_one_that_allows_neither_reading_nor_ingest_is_403(self, tracker):
        assert tracker.post(LIST, token=tracker.token("operate")).status_code == 403

    @pytest.mark.parametrize("scope", ["read", "ingest"])
    def test_either_scope_lists_the_tools(self, tracker, scope):
        answer = tracker.post(LIST, token=tracker.token(scope))
        assert (answer.status_code, len(answer.json()["result"]["tools"])) == (200, 8)

    @pytest.mark.parametrize(
        ("name", "scope"),
        [
            ("list_sessions", "ingest"),
            ("get_session", "ingest"),
            ("list_events", "ingest"),
            ("analytics_sessions", "ingest"),
            ("search_sessions", "ingest"),
            ("track_session_start", "read"),
            ("track_session_end", "read"),
        ],
    )
    def test_a_tool_needs_its_own_scope(self, tracker, name, scope):
        answer = tracker.post(call(name), token=tracker.token(scope)).json()["result"]
        assert answer["isError"] is True
        assert "this token does not allow" in answer["content"][0]["text"]

    @pytest.mark.parametrize("scope", ["read", "ingest"])
    def test_health_needs_any_token(self, tracker, scope):
        answer = tracker.post(call("health_check"), token=tracker.token(scope)).json()["result"]
        assert answer["isError"] is False

    def test_the_log_names_the_tool_and_holds_no_token(self, tracker):
        token = tracker.token("read")
        tracker.post(call("list_sessions"), token=token)
        log = (tracker.places.tracker_log / "session-buddy.log").read_text()
        assert "tool=list_sessions" in log
        assert "session: None" not in log
        assert token not in log


class TestHostsAndOrigins:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Host": "tracker.example"}, 421),
            ({"Host": "127.0.0.1.example:8678"}, 421),
            ({"Host": "localhost:1"}, 200),
            ({"Host": "localhost"}, 200),
            ({"Host": "127.0.0.1:8080"}, 200),
            ({"Host": "[::1]:9"}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": "http://localhost:5173"}, 200),
            ({"Origin": "https://127.0.0.1"}, 200),
        ],
    )
    def test_foreign_ones_are_refused_and_our_own_are_not(self, tracker, headers, status):
        answer = tracker.post(LIST, token=tracker.token("read"), **headers)
        assert answer.status_code == status


class TestRequests:
    @pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
    def test_there_are_no_streams_and_sessions_to_end(self, tracker, method):
        headers = {"Authorization": f"Bearer {tracker.token('read')}"}
        answer = tracker.request(method, headers)
        assert answer.status_code == 405

    @pytest.mark.parametrize(
        ("content", "status"),
        [
            (b"{", 400),
            (b"[]", 400),
            (b'{"jsonrpc": "2.0"}', 400),
            (b"\xff\xfe", 400),
            (b"[" * 100_000, 400),
            (b'{"jsonrpc": "2.0", "method": "notifications/initialized"}', 202),
            (b'{"jsonrpc": "2.0", "id": 1, "method": "no/such"}', 200),
        ],
    )
    def test_rubbish_is_never_a_fault_of_the_server(self, tracker, content, status):
        headers = {"Authorization": f"Bearer {tracker.token('read')}"}
        headers |= {"Content-Type": "application/json", **ACCEPT}
        assert tracker.request("POST", headers, content).status_code == status

    def test_a_body_that_is_too_long_is_refused_at_the_gate(self, tracker):
        headers = {"Authorization": f"Bearer {tracker.token('read')}"}
        answer = tracker.request("POST", headers, b" " * 16_000_001)
        assert (answer.status_code, answer.json().keys()) == (413, {"error", "hint", "request_id"})
