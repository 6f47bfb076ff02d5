"""What may go wrong with a deploy, caused for real: a clear line and a working stack each time."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time

import pytest

from features.deployment import temporary
from tests.deploy.conftest import CHECKOUT

DEADLINE = 120.0


def journal_has(places, known, step, state):
    """Whether a run that is not in ``known`` has written this line."""
    for journal in places.runs.glob("*/journal.jsonl"):
        if journal.parent.name in known:
            continue
        for line in journal.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if (entry["step"], entry["state"]) == (step, state):
                    return True
    return False


def kill_when(broken, process, step, state):
    """kill -9 the deploy as soon as its journal says that the step is in this state."""
    known = broken.known
    deadline = time.monotonic() + DEADLINE
    while not journal_has(broken.places, known, step, state):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, f"{step} was never {state}"
        time.sleep(0.002)
    process.kill()
    process.wait()


@contextlib.contextmanager
def listening_elsewhere(port):
    """Another process that listens on the port."""
    code = f"""
import socket, time
listener = socket.create_server(("127.0.0.1", {port}))
print("up", flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "up\n"
            yield process.pid
        finally:
            process.kill()


def test_a_port_that_another_process_holds_stops_the_deploy_before_anything_changed(tmp_path):
    deployment = temporary(tmp_path, CHECKOUT)
    port = int(deployment.environ["SESSION_BUDDY_PORT"])
    with listening_elsewhere(port) as pid:
        done = deployment.run("invoke deploy")
    assert done.exit_code == 1, done
    assert f"port {port}" in done.stderr, done
    assert f"pid {pid}" in done.stderr, done
    assert "SESSION_BUDDY_PORT" in done.stderr, done
    assert not deployment.places.current.exists()
    assert not deployment.places.releases.exists()


@pytest.mark.parametrize(
    ("environ", "params", "message"),
    [
        ({}, ["min_disk=900TB"], "900"),
        ({}, ["min_memory=900TB"], "900"),
        ({"MAHAVISHNU_AUTH_SECRET": "change-me-in-production"}, [], "placeholder"),
        ({"SESSION_BUDDY_SECRET": "short"}, [], "has 5 bytes"),
    ],
)
def test_what_is_missing_is_told_in_a_line_and_nothing_changed(tmp_path, environ, params, message):
    deployment = temporary(tmp_path, CHECKOUT)
    deployment.environ |= environ
    done = deployment.run("invoke deploy", *[word for each in params for word in ("--param", each)])
    assert done.exit_code in {1, 2}, done
    assert message in done.stderr, done
    assert "Traceback" not in done.stdout + done.stderr
    assert not deployment.places.releases.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    deployment = temporary(tmp_path, CHECKOUT)
    (tmp_path / "session-buddy").write_text("a file where a folder should be")
    done = deployment.run("invoke deploy")
    assert done.exit_code == 1, done
    assert str(tmp_path / "session-buddy") in done.stderr, done
    assert not deployment.places.releases.exists()
    assert (tmp_path / "session-buddy").read_text() == "a file where a folder should be"


def test_a_release_that_does_not_become_healthy_is_rolled_back(broken, ill_wheel):
    before, sessions = broken.current, broken.sessions()
    done = broken.deploy("--version", str(ill_wheel), "--param", "wait=8s")
    assert done.exit_code == 5, done
    assert "this release is ill" in done.stdout + done.stderr, done
    assert broken.current == before
    assert broken.running() == {before}
    assert sessions <= broken.sessions()
    assert broken.history()[0]["state"] == "rolled_back"


def test_a_failed_release_is_never_chosen_for_a_rollback(broken):
    done = broken.deployment.run("invoke rollback")
    assert done.exit_code == 1, done
    assert "no release to go back to" in done.stderr, done


@pytest.mark.parametrize(
    ("step", "state"), [("release", "started"), ("activate", "changed"), ("tracker", "started")]
)
def test_a_deploy_that_was_killed_is_healed_by_the_next_one(broken, next_wheel, step, state):
    broken.deploy()
    sessions = broken.sessions()
    broken.known = {path.name for path in broken.places.runs.iterdir()}
    kill_when(broken, broken.start("--version", str(next_wheel)), step, state)
    assert broken.history()[0]["state"] == "interrupted"

    done = broken.deploy("--version", str(next_wheel))
    assert done.exit_code == 0, done
    assert broken.running() == {broken.current}
    assert broken.current.startswith("0.1.1-")
    assert sessions <= broken.sessions()


def test_a_rollback_goes_to_the_release_before_and_a_deploy_comes_back(broken, next_wheel):
    broken.deploy()
    first = broken.current
    assert broken.deploy("--version", str(next_wheel)).exit_code == 0
    second = broken.current
    assert second != first

    done = broken.deployment.run("invoke rollback")
    assert done.exit_code == 0, done
    assert (broken.current, broken.running()) == (first, {first})
    assert broken.history()[0]["state"] == "succeeded"


def test_a_second_deploy_at_the_same_time_is_told_who_holds_the_lock(broken, next_wheel):
    broken.known = {path.name for path in broken.places.runs.iterdir()}
    with broken.start("--version", str(next_wheel)) as first:
        deadline = time.monotonic() + DEADLINE
        while not journal_has(broken.places, broken.known, "folders", "started"):
            assert first.poll() is None, first.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        second = broken.deploy()
        first.communicate(timeout=DEADLINE)
    assert second.exit_code == 3, second
    assert f"process {first.pid}" in second.stderr, second
    assert "since" in second.stderr, second
    assert first.returncode == 0


def test_ctrl_c_rolls_back_and_says_cancelled(broken, next_wheel):
    broken.deploy()
    before = broken.current
    broken.known = {path.name for path in broken.places.runs.iterdir()}
    with broken.start("--version", str(next_wheel)) as process:
        deadline = time.monotonic() + DEADLINE
        while not journal_has(broken.places, broken.known, "release", "started"):
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, 2)
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert broken.history()[0]["state"] == "cancelled"
    assert (broken.current, broken.running()) == (before, {before})


def test_the_tracker_comes_back_after_kill_9(broken):
    from tracker.client.http import ServerClient

    client = ServerClient(broken.deployment.settings.tracker_url)
    victim = client.health().pid
    os.kill(victim, 9)
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(Exception):
            if client.health().pid != victim:
                break
        assert time.monotonic() < deadline, "the service manager did not bring the tracker back"
        time.sleep(0.05)
