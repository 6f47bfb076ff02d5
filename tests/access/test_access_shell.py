"""A shell on another host: address, CA and token from its settings, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from access_hosts import put_token

from schemas.errors import InvalidInput, NotAuthorised
from schemas.settings import Settings
from tracker.client.emitter import Emitter
from tracker.client.facts import session_facts
from tracker.client.tokens import read_token


def emitter(settings):
    facts = session_facts("mahavishnu", "admin_shell", version="1.0", look_at_git=False)
    return Emitter(facts, settings, delivery="manual")


def stored(tracker, session_id):
    path = f"/api/v1/sessions/{session_id}/events"
    status, body = tracker.request(path, token=tracker.token("read"))
    return [event["event_type"] for event in json.loads(body)["events"]] if status == 200 else []


def test_commands_need_nothing_but_the_settings(shared, shell):
    done = shell(shared, shared.token("read")).run("list-sessions", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_session_is_delivered_with_the_token_of_the_file(shared, shell):
    recorded = emitter(shell(shared, shared.token("ingest")).settings)
    recorded.start()
    recorded.emit("command", {"text": "ps()", "outcome": "ok"}, exit_code=0)
    recorded.end(0)
    assert recorded.problem == ""
    assert stored(shared, recorded.session_id) == ["session_start", "command", "session_end"]


def test_a_rotated_token_is_taken_without_a_restart(shared, shell):
    elsewhere = shell(shared, "an-old.token-that.has-expired")
    facts = session_facts("mahavishnu", "admin_shell", version="1.0", look_at_git=False)
    recorded = Emitter(facts, elsewhere.settings)
    recorded.start()
    assert not recorded.flush(10)
    assert "401 Unauthorized" in recorded.problem
    put_token(Path(elsewhere.environ["SESSION_BUDDY_TOKEN_FILE"]), shared.token("ingest"))
    assert recorded.flush(10)
    recorded.end(0)
    assert stored(shared, recorded.session_id) == ["session_start", "session_end"]


def test_a_token_that_does_not_allow_it_says_so(shared, shell):
    done = shell(shared, shared.token("ingest")).run("list-sessions")
    assert done.returncode == 4
    assert "this token does not allow 'read'" in done.stderr


def test_a_shell_that_has_no_token_is_told_where_to_get_one(shared, shell):
    elsewhere = shell(shared, SESSION_BUDDY_TOKEN_FILE="")
    done = elsewhere.run("list-sessions")
    assert done.returncode == 4
    assert "SESSION_BUDDY_TOKEN_FILE" in done.stderr
    assert "generate-token --audience session-buddy" in done.stderr


def test_a_token_in_a_variable_is_not_read_and_that_is_said(shared, shell):
    done = shell(shared, shared.token("read")).run("health", SESSION_BUDDY_TOKEN="x")
    assert "SESSION_BUDDY_TOKEN is not known; did you mean SESSION_BUDDY_TOKEN_FILE?" in done.stderr


class TestTokenFile:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "token"

    def refused(self, path):
        with pytest.raises(NotAuthorised) as caught:
            read_token(path, "session-buddy")
        assert caught.value.where == str(path)
        return str(caught.value)

    def test_is_read_without_its_line_end(self, path):
        put_token(path, "a.b.c")
        assert read_token(path, "session-buddy") == "a.b.c"

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
    def test_others_may_not_read_it(self, path, mode):
        put_token(path, "a.b.c", mode)
        assert f"chmod 600 {path}" in self.refused(path)

    def test_is_missed_with_the_command_that_makes_one(self, path):
        assert "generate-token --audience session-buddy" in self.refused(path)

    @pytest.mark.parametrize("content", [b"", b"two words", b"a\r\nX-Injected: yes", b"\xff\xfe"])
    def test_holds_one_token_and_nothing_else(self, path, content):
        put_token(path, "")
        path.write_bytes(content)
        told = self.refused(path)
        assert "there is no token in this file" in told
        assert "Injected" not in told


@pytest.mark.parametrize(
    "url",
    [
        "tracker.example:8678",
        "ftp://tracker.example",
        "https://",
        "https://tracker.example:99999",
        "https://user:word@tracker.example",
        "https://tracker.example/below",
        "https://[::1",
    ],
)
def test_what_is_no_address_is_refused_when_it_is_read(url):
    with pytest.raises(InvalidInput, match=r"is not a url for session_buddy\.url"):
        Settings.load(environ={"HOME": "/nowhere", "SESSION_BUDDY_URL": url})
