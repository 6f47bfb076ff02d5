"""Each runbook for an incident or a problem, tried on the fault that it is for."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys

import pytest
from deployments import wait_for

from features.deployment import take_down, temporary
from schemas.places import ops_folder
from tracker.client.servers import session_buddy

LISTEN = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    print("listening", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    deployment = temporary(tmp_path_factory.mktemp("ill"), ops_folder())
    try:
        done = deployment.run("invoke deploy", timeout=600)
        assert done.exit_code == 0, done
        yield deployment
    finally:
        take_down(deployment)


def answering(live, line, answer):
    """Run a command on a terminal where a person answers the first question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        line.split(),
        cwd=live.folder,
        env=live.environ,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    try:
        return process.wait(timeout=120), process.stdout.read()
    finally:
        process.kill()
        process.stdout.close()
        os.close(ours)


def healthy(live):
    return session_buddy(live.settings).health().status == "healthy"


def test_they_are_listed_with_severity_and_use(live):
    done = live.run("invoke incident")
    assert done.stdout.startswith("P1  session-tracking-down: Session tracking is down\n    The")
    unknown = live.run("invoke incident --name session-tracking")
    assert (unknown.exit_code, "session-tracking-down" in unknown.stderr) == (6, True)


def test_without_a_release_nothing_is_begun(tmp_path):
    done = temporary(tmp_path, ops_folder()).run("invoke incident --name session-tracking-down")
    assert done.exit_code == 1, done
    assert "no release is in use" in done.stderr
    assert "invoke deploy first" in done.stderr


@pytest.mark.parametrize("fault", ["stopped", "hung"])
def test_a_tracker_that_does_not_answer_is_brought_back(live, fault):
    if fault == "stopped":
        assert live.run("session-buddy mcp stop").exit_code == 0
    else:
        os.kill(session_buddy(live.settings).health().pid, signal.SIGSTOP)
    done = live.run("invoke incident --name session-tracking-down")
    assert done.exit_code == 0, done
    assert healthy(live)
    kept = max((live.places.state / "incidents").iterdir())
    assert {"disk.txt", "processes.txt", "session-buddy.log"} <= {
        one.name for one in kept.iterdir()
    }


def test_one_that_stays_down_waits_for_a_decision_and_is_not_called_green(live):
    assert live.run("session-buddy mcp stop").exit_code == 0
    database = live.settings.database
    database.rename(f"{database}.away")
    database.mkdir()
    try:
        line = "invoke incident --name session-tracking-down --param wait=3s"
        code, told = answering(live, line, "n")
    finally:
        database.rmdir()
        database.with_name(f"{database.name}.away").rename(database)
    assert code == 1, told
    assert "Go back to the release before?" in told
    assert "did not approve" in told
    assert live.run("invoke incident --name session-tracking-down").exit_code == 0
    assert healthy(live)


def test_failing_sessions_are_measured_and_a_person_is_told_what_fails(live):
    quiet = live.run("invoke incident --name high-session-failure-rate --param limit=1.0")
    assert quiet.exit_code == 0, quiet
    for _ in range(3):
        assert live.run("mahavishnu shell -c", "raise SystemExit(3)").exit_code != 0
    live.run("session-buddy spool flush")
    line = "invoke incident --name high-session-failure-rate --param limit=0.01"
    code, told = answering(live, line, "y")
    assert code == 0, told
    assert "of the sessions of the last 1h failed" in told
    assert "raise SystemExit(3)" in told


def test_sessions_that_were_not_captured_arrive(live):
    assert live.run("session-buddy mcp stop").exit_code == 0
    assert live.run("mahavishnu shell -c exit").exit_code == 0
    done = live.run("invoke troubleshoot --name sessions-not-captured")
    assert done.exit_code == 0, done
    waiting = json.loads(live.run("session-buddy spool status --json").stdout)
    assert not waiting.get("events"), waiting


def test_tracking_that_a_setting_switches_off_is_named(live):
    live.environ["MAHAVISHNU_SESSION_ENABLED"] = "false"
    try:
        done = live.run("invoke troubleshoot --name sessions-not-captured")
    finally:
        del live.environ["MAHAVISHNU_SESSION_ENABLED"]
    assert done.exit_code in {1, 5}
    assert "tracking is switched off by a setting" in done.stderr


def test_keys_that_were_replaced_under_a_running_server_are_taken(live):
    other = temporary(live.places.home.parent / "other", ops_folder())
    made = other.run("invoke secret.generate")
    assert made.exit_code == 0, made
    shutil.copy(other.places.keyring, live.places.keyring)
    done = live.run("invoke troubleshoot --name authentication-failures")
    assert done.exit_code == 0, done
    assert live.run("session-buddy list-sessions --limit 1").exit_code == 0


def test_a_process_that_has_the_port_is_ended_only_when_a_person_says_so(live):
    assert live.run("session-buddy mcp stop").exit_code == 0
    port = live.environ["SESSION_BUDDY_PORT"]
    squatter = subprocess.Popen(
        [sys.executable, "-c", LISTEN, port], stdout=subprocess.PIPE, text=True
    )
    try:
        assert squatter.stdout.readline() == "listening\n"
        line = "invoke troubleshoot --name connection-refused --param wait=3s"
        refused, told = answering(live, line, "n")
        assert refused in {1, 5}, told
        assert squatter.poll() is None
        code, told = answering(live, "invoke troubleshoot --name connection-refused", "y")
        assert code == 0, told
        wait_for(lambda: squatter.poll() is not None)
    finally:
        squatter.kill()
        squatter.wait()
        squatter.stdout.close()
    assert healthy(live)


def test_slow_questions_are_measured_before_and_after(live):
    done = live.run("invoke troubleshoot --name slow-queries --param limit=30")
    assert done.exit_code == 0, done
    slow = live.run("invoke troubleshoot --name slow-queries --param limit=0.0001")
    assert slow.exit_code in {1, 5}
    assert "ms, before it took" in slow.stderr


def test_a_model_that_is_gone_is_brought_back(live):
    shutil.rmtree(live.places.models)
    done = live.run("invoke troubleshoot --name semantic-search", timeout=300)
    assert done.exit_code == 0, done
    assert any(live.places.models.iterdir())
