"""The `mahavishnu` command and its server, as processes (guide 3, 4.1, 4.5, 6.1)."""

from __future__ import annotations

import json
import subprocess

import pytest

from schemas.keyring import load_keys
from tracker.client.http import ServerClient
from tracker.client.servers import mahavishnu
from tracker.client.tokens import local_token

HEALTHY = """\
✓ Mahavishnu MCP server: healthy
✓ Authentication: enabled
✓ Session tracking: enabled
✓ Adapters: local (active), fabric (disabled: the inventory has no SSH host)
"""


@pytest.fixture(scope="module")
def serving(site):
    """The site, with its mahavishnu server started as the guide does it."""
    repository = site.home.parent / "repository"
    subprocess.run(["git", "init", "-q", "-b", "topic", repository], check=True)
    (repository / "new.txt").write_text("not added")
    site.environ["MAHAVISHNU_REPOS"] = f"{repository},{site.home / 'nowhere'}"
    started = site.run("mcp", "start")
    try:
        assert started.returncode == 0, started.err
        address = site.settings.mahavishnu_url.removeprefix("http://")
        assert started.out.splitlines() == [
            f"[INFO] Starting Mahavishnu MCP server on {address}",
            "[INFO] Session tracking enabled",
            "[INFO] Ready to accept connections",
        ]
        yield site
    finally:
        site.run("mcp", "stop")
        del site.environ["MAHAVISHNU_REPOS"]


def test_version(lone_site):
    assert lone_site.run("--version").out == "mahavishnu 0.1.0\n"


def test_help_lists_the_commands_and_gives_examples(lone_site):
    shown = lone_site.run("--help").out
    assert 'mahavishnu shell -c "ps(); sync()"' in shown
    assert "test-session-tracking" in shown


def test_config_can_be_searched_as_in_the_guide(lone_site):
    lines = lone_site.run("config").out.splitlines()
    assert "mahavishnu.session.enabled = true  (default)" in lines
    assert "mahavishnu.auth_enabled = true  (default)" in lines


def test_config_shows_no_secret(lone_site):
    secret = load_keys(lone_site.settings, "mahavishnu").current.secret
    shown = lone_site.run("config", "--json").out
    assert secret not in shown
    assert json.loads(shown)["settings"]["mahavishnu.auth_secret"]["value"].startswith(
        "fingerprint "
    )


def test_a_misspelt_variable_is_told(lone_site):
    done = lone_site.run("config", MAHAVISHNU_SESION_ENABLED="false")
    assert "did you mean MAHAVISHNU_SESSION_ENABLED?" in done.err


def test_the_server_is_healthy_and_each_line_is_a_probe(serving):
    done = serving.run("mcp", "health")
    assert (done.returncode, done.out) == (0, HEALTHY)


def test_starting_what_runs_says_so(serving):
    done = serving.run("mcp", "start")
    assert done.returncode == 0
    assert "already" in done.out


def test_restart_makes_a_new_process(serving):
    first = mahavishnu(serving.settings).health()
    assert serving.run("mcp", "restart").returncode == 0
    second = mahavishnu(serving.settings).health()
    assert (first.status, second.status) == ("healthy", "healthy")
    assert first.pid != second.pid


def test_a_server_that_does_not_run(lone_site):
    stopped = lone_site.run("mcp", "stop")
    assert stopped.returncode == 0
    assert stopped.out == "[INFO] Mahavishnu MCP server is not running\n"
    down = lone_site.run("mcp", "health")
    assert down.returncode == 1
    assert "start it with: mahavishnu mcp start" in down.out


def test_without_the_tracker_the_server_is_degraded_and_serves(lone_site):
    try:
        assert lone_site.run("mcp", "start").returncode == 0
        assert mahavishnu(lone_site.settings).health().status == "degraded"
        shown = lone_site.run("mcp", "health")
        assert shown.returncode == 1
        assert "✓ Mahavishnu MCP server: healthy" in shown.out
        assert "✗ Session tracking: unavailable" in shown.out
        assert "session-buddy mcp start" in shown.out
        token = lone_site.run("generate-token").out.strip()
        assert lone_site.run("list-repos", "--token", token).returncode == 0
    finally:
        lone_site.run("mcp", "stop")


def test_a_placeholder_secret_keeps_the_server_from_starting(lone_site):
    lone_site.environ["MAHAVISHNU_AUTH_SECRET"] = "change-me-in-production"
    done = lone_site.run("mcp", "start")
    assert done.returncode != 0
    assert "placeholder" in done.err


def test_list_repos_with_a_token(serving):
    token = serving.run("generate-token").out.strip()
    done = serving.run("list-repos", "--token", token, "--json")
    assert done.returncode == 0, done.err
    known, missing = json.loads(done.out)
    assert (known["branch"], known["dirty"], known["error"]) == ("topic", True, "")
    assert missing["error"] == "no such folder"


@pytest.mark.parametrize("way", ["file", "variable"])
def test_a_token_need_not_be_an_argument(serving, tmp_path, way):
    token = serving.run("generate-token").out
    if way == "file":
        (tmp_path / "token").write_text(token)
        done = serving.run("list-repos", "--token-file", str(tmp_path / "token"))
    else:
        done = serving.run("list-repos", MAHAVISHNU_TOKEN=token.strip())
    assert done.returncode == 0, done.err
    assert "topic" in done.out


@pytest.mark.parametrize("arguments", [(), ("--token", "invalid"), ("--token", "two\nlines")])
def test_without_a_good_token_it_is_401(serving, arguments):
    done = serving.run("list-repos", *arguments)
    assert done.returncode == 4
    assert "401 Unauthorized" in done.err
    assert "mahavishnu generate-token" in done.err


def test_a_token_allows_what_its_scope_says(serving):
    token = serving.run("generate-token", "--scope", "ingest", "--minutes", "1").out.strip()
    done = serving.run("list-repos", "--token", token)
    assert done.returncode == 4
    assert "does not allow 'read'" in done.err


@pytest.mark.parametrize("path", ["/api/v1/repos", "/api/v1/runs", "/api/v1/runbooks"])
def test_the_api_answers_who_may_read(serving, path):
    def token():
        return local_token(serving.settings, "mahavishnu", ["read"])

    with ServerClient(serving.settings.mahavishnu_url, token) as client:
        [name] = client.get(path)
        assert path.endswith(name)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": "many"}, {"state": "done"}])
def test_the_api_refuses_a_wrong_query(serving, query):
    from schemas.errors import InvalidInput

    with mahavishnu(serving.settings, "read") as client, pytest.raises(InvalidInput):
        client.get("/api/v1/runs", **query)


def test_session_tracking_is_proved_by_a_session(site):
    done = site.run("test-session-tracking")
    assert done.returncode == 0
    assert done.out.splitlines() == [
        "✓ Session-Buddy MCP: connected",
        "✓ Session tracking: operational",
        "✓ Event capture: working",
    ]
    [session] = [one for one in site.sessions() if one["pid"] == done.pid]
    assert (session["session_type"], session["event_count"]) == ("acceptance", 4)


def test_session_tracking_without_a_tracker(lone_site):
    done = lone_site.run("test-session-tracking")
    assert done.returncode == 1
    assert done.out.splitlines() == [
        f"✗ Session-Buddy MCP: Session-Buddy does not answer on {lone_site.settings.tracker_url}",
        "  start it with: session-buddy mcp start",
    ]


def test_session_tracking_that_is_off(site):
    done = site.run("test-session-tracking", MAHAVISHNU_SESSION_ENABLED="false")
    assert done.returncode == 1
    assert "✗ Session tracking: disabled" in done.out


def test_session_tracking_with_a_key_that_the_tracker_does_not_know(site):
    other = "another key that nobody has told the tracker"
    done = site.run("test-session-tracking", SESSION_BUDDY_SECRET=other)
    assert done.returncode == 1
    assert "✓ Session-Buddy MCP: connected" in done.out
    assert "✗ Session tracking: 401 Unauthorized" in done.out


def test_own_sessions_are_listed(site):
    done = site.shell("ps()")
    [newest] = json.loads(site.run("sessions", "--limit", "1", "--json").out)
    assert newest["pid"] == done.pid
    assert newest["session_id"] in site.run("sessions").out
