"""The commands around the server: its life, its settings, what waits for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess

import pytest
from deployments import COMMAND

from schemas.settings import configuration_fingerprint


def test_start_stop_and_restart_as_the_guide_has_them(down):
    address = f"127.0.0.1:{down.environ['SESSION_BUDDY_PORT']}"
    assert down.output("mcp", "start").splitlines() == [
        f"[INFO] Starting Session-Buddy MCP server on {address}",
        "[INFO] Session tracking enabled",
        "[INFO] Ready to accept connections",
    ]
    first = down.process().pid
    assert f"already (pid {first})" in down.output("mcp", "start")
    assert down.output("mcp", "restart").endswith("[INFO] Ready to accept connections\n")
    assert down.process().pid != first
    assert down.output("mcp", "stop") == "[INFO] Session-Buddy MCP server stopped\n"
    assert down.output("mcp", "stop") == "[INFO] Session-Buddy MCP server is not running\n"
    assert "event=stopped" in (down.places.tracker_log / "session-buddy.log").read_text()


def test_in_the_foreground_it_says_the_same_and_ends_when_asked(down):
    server = subprocess.Popen(
        [str(COMMAND), "mcp", "start", "--foreground"],
        env=down.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = [server.stdout.readline().strip() for _ in range(3)]
    assert lines[0].startswith("[INFO] Starting Session-Buddy MCP server on")
    assert lines[2] == "[INFO] Ready to accept connections"
    server.send_signal(signal.SIGINT)
    assert server.wait(20) == 0
    server.stdout.close()


def test_the_clones_command_runs_the_release_that_is_current(down):
    released = down.places.current / "bin" / "session-buddy"
    released.parent.mkdir(parents=True)
    released.write_text('#!/bin/sh\necho "the release: $*"\n')
    released.chmod(0o755)
    assert down.output("mcp", "start", "--foreground") == "the release: mcp start --foreground\n"


def test_a_start_without_a_key_says_how_to_make_one(down):
    down.places.keyring.unlink()
    result = down.run("mcp", "start")
    assert result.returncode == 1
    assert "there is no key to sign tokens with" in result.stderr
    assert result.stderr.endswith("invoke secret.generate\n")
    assert "Traceback" not in result.stderr


def test_an_address_that_is_not_loopback_is_refused(down):
    result = down.run("mcp", "start", SESSION_BUDDY_HOST="0.0.0.0")
    assert result.returncode == 1
    assert "not an address of loopback" in result.stderr


def test_config_shows_each_setting_with_its_source_and_no_secret(down):
    down.places.tracker_home.mkdir(exist_ok=True)
    config = down.places.tracker_config
    config.write_text("semantic_search:\n  enabled: false\n")
    secret = "Xk2-" * 3 + "a-real-one-with-many-letters"
    shown = down.output("config", SESSION_BUDDY_SECRET=secret).splitlines()
    semantic = [line for line in shown if "semantic" in line]
    assert f"session_buddy.semantic_search.enabled = false  ({config}:2)" in semantic
    assert any(line.startswith("session_buddy.semantic_search.model = ") for line in semantic)
    port = down.environ["SESSION_BUDDY_PORT"]
    assert f"session_buddy.port = {port}  ($SESSION_BUDDY_PORT)" in shown
    [line] = [line for line in shown if line.startswith("session_buddy.secret")]
    assert "fingerprint" in line
    assert "($SESSION_BUDDY_SECRET)" in line
    keys = json.loads(down.places.keyring.read_text())["keys"]
    values = [secret, *(key["secret"] for ring in keys.values() for key in ring)]
    assert not any(value in "\n".join(shown) for value in values)


def test_config_as_json_and_its_fingerprint(down):
    shown = json.loads(down.output("config", "--json"))
    assert shown["paths"]["database"] == str(down.settings.database)
    assert shown["fingerprint"] == configuration_fingerprint(down.places)
    assert down.output("config", "--fingerprint").strip() == shown["fingerprint"]


def test_a_misspelt_variable_is_told_with_the_right_one(down):
    result = down.run("config", SESSION_BUDDY_PROT="1")
    assert result.returncode == 0
    assert result.stderr == (
        "warning: variable SESSION_BUDDY_PROT is not known; did you mean SESSION_BUDDY_PORT?\n"
    )


def test_a_wrong_value_is_exit_code_2_and_names_its_source(down):
    result = down.run("list-sessions", SESSION_BUDDY_PORT="many")
    assert result.returncode == 2
    assert result.stderr.startswith("error: $SESSION_BUDDY_PORT: 'many' is not a count")


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_environment_file_for_a_shell(down, shell):
    hard = """it's "quoted" with $(touch sprung), spaces and # no comment"""
    down.places.env_file.write_text(
        "# a comment\n"
        "SESSION_BUDDY_DB_PATH=$HOME/b/sessions.db\n"
        f"EXTRA='{hard.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}'\n"
    )
    script = f'eval "$({COMMAND} env --shell)"; printf "%s\\n" "$SESSION_BUDDY_DB_PATH" "$EXTRA"'
    environ = {**down.environ, "HOME": "/home/somebody"}
    found = subprocess.run(
        [shell, "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == ["/home/somebody/b/sessions.db", hard]
    assert json.loads(down.output("env", "--json"))["EXTRA"] == hard


def test_without_an_environment_file(down):
    result = down.run("env", "--shell")
    assert result.returncode == 6
    assert "invoke deploy" in result.stderr


def test_what_waits_is_shown_and_delivered_on_request(down):
    assert down.output("spool", "status").startswith("0 events wait")
    session_id = down.record("ps()")
    shown = down.output("spool", "status")
    assert shown.startswith("3 events wait")
    assert "dead" in shown
    assert json.loads(down.output("spool", "status", "--json"))["events"] == 3
    assert down.run("spool", "flush").returncode == 1
    down.output("mcp", "start")
    assert json.loads(down.output("spool", "flush", "--json"))["sent"] == 3
    assert down.output("spool", "flush") == "0 events delivered\n"
    assert "ps()" in down.output("list-events", "--session-id", session_id)


def test_debug_shows_where_an_error_came_from_and_otherwise_nobody_sees_a_traceback(down):
    assert "Traceback" not in down.run("list-sessions").stderr
    assert "Traceback" in down.run("--debug", "list-sessions").stderr
    assert "Traceback" in down.run("list-sessions", MAHAVISHNU_DEBUG="true").stderr


def test_an_interrupt_is_exit_code_130(down):
    with socket.create_server(("127.0.0.1", down.settings.count("session_buddy.port"))) as mute:
        command = subprocess.Popen(
            [str(COMMAND), "list-sessions"], env=down.environ, stderr=subprocess.PIPE, text=True
        )
        connection, _ = mute.accept()
        os.kill(command.pid, signal.SIGINT)
        assert command.wait(20) == 130
        assert command.stderr.read().strip() == "interrupted"
        command.stderr.close()
        connection.close()
