"""Servers under a real supervisord: started, left alone, restarted when they differ, mended.

The servers are small programs that answer ``/health`` as the real ones do, so that a release need
not be made and a fault can be chosen.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from features.deployment import free_ports
from orchestrator.tasks.release_record import Release
from schemas.errors import StepFailed
from schemas.settings import configuration_fingerprint
from tests.tasks.conftest import Bench

DEADLINE = 20.0
PROGRAM = """\
#!{python}
import hashlib, http.server, json, os, sys
from pathlib import Path
sys.path.insert(0, {checkout!r})
from schemas.places import Places
from schemas.settings import Settings, configuration_fingerprint
places = Places.of_this_user()
name = Path(sys.argv[0]).name
settings = Settings.load(places)
if sys.argv[1] == "config":
    shown = {{name: {{"value": settings[name]}} for name in settings}}
    print(json.dumps({{"settings": shown, "fingerprint": configuration_fingerprint(places)}}))
    sys.exit()
release = Path({folder!r}).name
if release.startswith("ill"):
    sys.exit("RuntimeError: this release is ill")
answer = json.dumps({{"status": "healthy", "service": name, "release": release, "pid": os.getpid(),
    "configuration": configuration_fingerprint(places)}}).encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_):
        pass
port = settings.count(name.replace("-", "_") + ".port")
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
CHECKOUT = str(Path(__file__).resolve().parents[2])


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    root = tmp_path_factory.mktemp("ser vice")
    tracker, mahavishnu = free_ports(2)
    ports = {"SESSION_BUDDY_PORT": str(tracker), "MAHAVISHNU_PORT": str(mahavishnu)}
    bench = Bench(root, {"HOME": str(root), **ports})
    for place in ("etc", "state", "log", "tracker_home"):
        getattr(bench.places, place).mkdir(parents=True)
    bench("config.render", template="session-tracking.env.j2", dest=str(bench.places.env_file))
    for name in ("good-1", "good-2", "ill-1"):
        put_release(bench, name)
    try:
        yield bench
    finally:
        bench("service.shutdown")
        assert not daemon_runs(bench)


def put_release(bench, name):
    folder = bench.places.releases / name
    (folder / "bin").mkdir(parents=True)
    (folder / "release.json").write_bytes(Release(name, state="ready").as_json())
    for program in ("supervisord", "supervisorctl"):
        (folder / "bin" / program).symlink_to(Path(sys.executable).parent / program)
    # A link to an interpreter in another place would not find the packages of its environment.
    (folder / "bin" / "python").write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    (folder / "bin" / "python").chmod(0o755)
    for program in ("session-buddy", "mahavishnu"):
        path = folder / "bin" / program
        path.write_text(
            PROGRAM.format(python=sys.executable, checkout=CHECKOUT, folder=str(folder))
        )
        path.chmod(0o755)


def daemon_runs(bench):
    path = bench.places.state / "supervisord.pid"
    if not path.is_file():
        return False
    try:
        os.kill(int(path.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def switch(bench, name):
    bench("release.activate", release=name)
    bench("service.install")


def ensure(bench, **arguments):
    return bench("service.ensure", name="session-buddy", **arguments)


def status(bench):
    return bench("service.status", name="session-buddy").outputs["session-buddy"]


@contextlib.contextmanager
def by_hand(bench):
    """The tracker, started by a person; yields its PID and ends it if nobody else did."""
    places = bench.places
    environ = {
        "HOME": str(places.home.parent),
        "MAHAVISHNU_HOME": str(places.home),
        "SESSION_BUDDY_HOME": str(places.tracker_home),
    }
    words = [places.current / "bin" / "session-buddy", "mcp", "start", "--foreground"]
    with subprocess.Popen(words, env=environ) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def running(bench):
    """The tracker of the first release runs, whatever a test before left."""
    switch(bench, "good-1")
    return ensure(bench)


def test_a_first_install_starts_everything_once_and_its_undo_stops_it(bench):
    bench("release.activate", release="good-1")
    installed = bench("service.install")
    first = ensure(bench)
    again = ensure(bench)
    assert (first.changed, again.changed) == (True, False)
    assert first.outputs == again.outputs
    assert first.outputs["release"] == "good-1"
    assert not bench("service.install").changed
    bench.undo(installed)
    assert not daemon_runs(bench)
    assert not (bench.places.etc / "supervisord.conf").exists()


def test_another_release_is_a_reason_to_restart(bench, running):
    bench("release.activate", release="good-2")
    assert "good-1 -> good-2" in bench.checked("service.ensure", name="session-buddy").message
    outcome = ensure(bench)
    assert outcome.changed
    assert outcome.outputs["release"] == "good-2"
    assert outcome.outputs["pid"] != running.outputs["pid"]


def test_another_configuration_is_a_reason_to_restart(bench, running):
    bench.places.local_config.write_text(f"# {time.time()}\n")
    outcome = ensure(bench)
    assert "configuration" in outcome.message
    health = json.loads(
        bench("http.check", url=f"{bench.settings.tracker_url}/health").outputs["body"]
    )
    assert health["configuration"] == configuration_fingerprint(bench.places)


def test_a_configuration_that_this_run_would_change_is_told_by_check_mode(bench, running):
    asked = {"name": "session-buddy"}
    assert not bench.checked("service.ensure", **asked, configured=False).changed
    assert "would restart" in bench.checked("service.ensure", **asked, configured=True).message
    assert not bench("service.ensure", **asked, configured=True).changed


def test_a_health_check_names_a_server_that_runs_another_release(bench, running):
    link = bench.places.current
    link.unlink()
    link.symlink_to("releases/good-2")
    with pytest.raises(StepFailed, match="runs release good-1, and good-2 is in use"):
        bench("service.check")


def test_the_configuration_of_the_manager_is_applied_by_the_next_ensure(bench, running):
    path = bench.places.etc / "supervisord.conf"
    path.write_text(path.read_text().replace("stopwaitsecs=15", "stopwaitsecs=14"))
    outcome = ensure(bench)
    assert "read again" in outcome.message
    assert bench("service.install").changed
    ensure(bench)


def test_one_that_was_killed_comes_back_by_itself(bench, running):
    os.kill(running.outputs["pid"], signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE
    while True:
        found = status(bench)
        if found["status"] == "healthy" and found["pid"] != running.outputs["pid"]:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    assert not ensure(bench).changed


def test_one_that_outlived_its_killed_manager_is_put_under_a_new_one(bench, running):
    daemon = int((bench.places.state / "supervisord.pid").read_text())
    os.kill(daemon, signal.SIGKILL)
    outcome = ensure(bench)
    assert f"pid {running.outputs['pid']} ran without its service manager" in outcome.message
    assert not ensure(bench).changed


def test_one_that_was_stopped_and_started_by_hand_is_put_under_the_manager(bench, running):
    assert bench.checked("service.stop", name="session-buddy").changed
    assert bench("service.stop", name="session-buddy").changed
    assert not bench("service.stop", name="session-buddy").changed
    with by_hand(bench) as pid:
        deadline = time.monotonic() + DEADLINE
        while status(bench).get("pid") != pid:
            assert time.monotonic() < deadline, status(bench)
            time.sleep(0.05)
        assert ensure(bench).outputs["pid"] != pid


def test_one_that_dies_at_once_is_told_with_what_it_said(bench, running):
    switch(bench, "ill-1")
    with pytest.raises(StepFailed, match="RuntimeError: this release is ill"):
        ensure(bench, wait="1s")
    switch(bench, "good-1")
    assert ensure(bench).outputs["release"] == "good-1"


def test_restart_gives_another_process(bench, running):
    outcome = bench("service.restart", name="session-buddy")
    assert outcome.outputs["pid"] != running.outputs["pid"]


def test_without_a_release_in_use_everything_is_stopped(bench, running):
    bench.places.current.unlink()
    outcome = ensure(bench)
    assert "session-buddy" in outcome.message
    assert not daemon_runs(bench)
    assert not ensure(bench).changed
