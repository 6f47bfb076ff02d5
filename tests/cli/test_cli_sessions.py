"""The guide's commands on sessions, word for word (3 step 4, 4.1, 4.2, 10.1)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from schemas.release import version


def test_version_and_help(up):
    assert up.output("--version") == f"session-buddy {version()}\n"
    assert "list-sessions" in up.output("--help")
    assert "list-sessions" in up.output("-h")


def test_health_prints_a_line_for_each_probe(up):
    lines = up.output("health").splitlines()
    assert lines[:3] == [
        "✓ Session-Buddy MCP server: healthy",
        "✓ Database: connected",
        "✓ Session tracking: enabled",
    ]
    assert any(line[2:].startswith("Semantic search: ") for line in lines)
    assert json.loads(up.output("health", "--json"))["status"] == "healthy"


def test_health_without_a_server_is_one_line_and_the_next_step(down):
    result = down.run("health")
    assert result.returncode == 1
    first, second = result.stdout.splitlines()
    assert first.startswith("✗ Session-Buddy MCP server: unhealthy")
    assert second == "  start it with: session-buddy mcp start"
    assert json.loads(down.run("health", "--json").stdout)["status"] == "unhealthy"


def test_every_command_without_a_server_says_so_and_goes_on_to_say_what_to_do(down):
    for arguments in (["list-sessions"], ["get-session", "x"], ["backup", "create"]):
        result = down.run(*arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.splitlines() == [
            f"error: Session-Buddy does not answer on {down.settings.tracker_url}",
            "  start it with: session-buddy mcp start",
        ]


def test_a_session_is_listed_with_the_guides_columns(up):
    session_id = up.record("ps()", "top()")
    lines = up.output("list-sessions", "--type", "admin_shell", "--limit", "1").splitlines()
    titles = [cell.strip() for cell in lines[1].strip("│").split("│")]
    cells = [cell.strip() for cell in lines[3].strip("│").split("│")]
    row = dict(zip(titles, cells, strict=True))
    assert row["Session ID"] == session_id
    assert (row["Component"], row["Duration"], row["Events"]) == ("mahavishnu", "0:00:00", "4")
    assert all(len(line) <= 80 for line in lines)


def in_shell(deployment, line):
    """Run a line as a person types it."""
    path = f"{sys.prefix}/bin:{deployment.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", line],
        env={**deployment.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.needs("jq")
def test_the_guides_pipe_through_jq(up):
    session_id = up.record("ps()", session_type="piped")
    shell = (
        "session-buddy list-sessions --type piped --limit 1 --format json | jq -r '.[0].session_id'"
    )
    found = in_shell(up, shell)
    assert found.stdout.strip() == session_id


def test_filters(up):
    failed = up.record("x", session_type="filtered", exit_code=2)
    ended = up.record("x", session_type="filtered")

    def listed(*options):
        answer = json.loads(up.output("list-sessions", "--type", "filtered", "--json", *options))
        return [session["session_id"] for session in answer]

    assert listed() == [ended, failed]
    assert listed("--status", "failed") == [failed]
    assert listed("--component", "nobody") == []
    assert listed("--limit", "1", "--offset", "1") == [failed]
    result = up.run("list-sessions", "--type", "filtered", "--limit", "1")
    assert result.stderr.startswith("1 more: --cursor ")
    assert listed("--limit", "1", "--cursor", result.stderr.split()[-1]) == [failed]
    assert up.output("list-sessions", "--type", "never") == "no such sessions\n"


def test_a_session_has_what_the_guide_looks_for(up):
    session_id = up.record("ps()")
    session = json.loads(up.output("get-session", session_id, "--format", "json"))
    assert session["component"] == "mahavishnu"
    assert session["session_type"] == "admin_shell"
    assert session["start_time"]
    assert session["end_time"]
    assert session["command_count"] == 1
    assert set(session["metadata"]) >= {"env", "git_branch"}
    shown = up.output("get-session", session_id).splitlines()
    assert ["session_id", session_id] in [line.split() for line in shown]


def test_a_session_that_does_not_exist_is_exit_code_6(up):
    for arguments in (["get-session", "abc/../123"], ["list-events", "--session-id", "abc123"]):
        result = up.run(*arguments)
        assert result.returncode == 6
        assert result.stderr.startswith(("error: Invalid session ID", "error: there is no session"))


def test_events_are_shown_in_order(up):
    session_id = up.record("ps()", "top()", "sync()")
    events = json.loads(up.output("list-events", "--session-id", session_id, "--format", "json"))
    assert [event["data"].get("text") for event in events] == [
        None,
        "ps()",
        "top()",
        "sync()",
        None,
    ]
    lines = up.output("list-events", "--session-id", session_id).splitlines()
    assert [line.split("│")[3].strip() for line in lines[3:-1]] == [
        "session_start",
        "command",
        "command",
        "command",
        "session_end",
    ]


def test_without_a_session_the_newest_events_of_all_are_shown(up):
    first, second = up.record("one of two"), up.record("two of two")
    shown = up.output("list-events")
    assert "one of two" in shown
    assert "two of two" in shown
    assert first in shown
    assert second in shown


def test_more_events_than_a_page_holds(up):
    session_id = up.record(*(str(number) for number in range(1500)))
    few = up.run("list-events", "--session-id", session_id, "--limit", "5", "--json")
    assert len(json.loads(few.stdout)) == 5
    assert (
        len(
            json.loads(
                up.output("list-events", "--session-id", session_id, "--json", "--limit", "9999")
            )
        )
        == 1502
    )


def test_a_recorded_command_cannot_write_to_the_terminal_of_who_reads_it(up):
    session_id = up.record("\x1b]0;gotcha\x07\x1b[2J")
    assert "\x1b" not in up.output("list-events", "--session-id", session_id)


def test_a_reader_that_has_had_enough_is_no_error(up):
    session_id = up.record(*(f"{number:0500}" for number in range(300)))
    shell = f"session-buddy list-events --json --limit 400 --session-id {session_id} | head -1"
    found = in_shell(up, shell)
    assert (found.stdout, found.stderr) == ("[\n", "")


def test_backup_create(up):
    made = json.loads(up.output("backup", "create", "--json"))
    assert (up.places.backups / made["name"]).stat().st_size == made["size"]
    assert up.output("backup", "create").startswith("Backup created: sessions-")


def test_wrong_usage_is_exit_code_2(up):
    for arguments in (["list-sessions", "--status", "odd"], ["no-such"], ["get-session"]):
        result = up.run(*arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert "Usage: session-buddy" in result.stderr


HEAVY = {"pydantic", "duckdb", "jwt", "starlette", "structlog", "psutil", "rich", "yaml"}
PROBE = """
import sys
from tracker.cli import main
try:
    main()
finally:
    print(sorted(set(sys.modules) & {heavy!r}), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["list-sessions"], ["health"], ["config"], ["--version"]])
def test_a_short_command_imports_nothing_heavy(up, arguments):
    found = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *arguments],
        env=up.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stderr.splitlines()[-1] == "[]"
