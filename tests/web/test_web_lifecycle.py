"""How a server lives: real processes are started, killed and found again."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace

import psutil
import pytest
from deployments import deployment, wait_for

from schemas.errors import StepFailed
from tracker.web import lifecycle
from tracker.web.lifecycle import ask, server_argv
from tracker.web.pidfile import pid_file, read_process
from tracker.web.processes import is_alive
from tracker.web.supervision import Detached, Supervisor, Systemd, supervision


def started(deployed, fault=""):
    lines = []
    result = lifecycle.start(deployed.spec(fault), deployed.settings, say=lines.append)
    return result, lines


def test_start_prints_the_guides_lines_and_returns_when_the_server_is_healthy(deployed):
    result, lines = started(deployed)
    assert result.state == "started"
    assert lines == [
        f"[INFO] Starting Session-Buddy MCP server on {deployed.spec().address}",
        "[INFO] Session tracking enabled",
        "[INFO] Ready to accept connections",
    ]
    assert deployed.client().health().status == "healthy"


def test_the_server_does_not_belong_to_the_terminal_that_started_it(running):
    pid = running.process().pid
    assert os.getsid(pid) == pid


def test_a_second_start_says_that_it_runs_and_leaves_it_alone(running):
    pid = running.process().pid
    result, [line] = started(running)
    assert result.state == "already running"
    assert f"already (pid {pid})" in line
    assert running.process().pid == pid


def test_two_starts_at_once_end_with_one_server(deployed):
    second = []
    thread = threading.Thread(target=lambda: second.append(outcome(deployed)))
    thread.start()
    first = outcome(deployed)
    thread.join(40)
    states = {first, *second}
    assert "started" in states
    assert states <= {"started", "already running", "failed"}
    wait_for(lambda: processes_in(deployed.places.home) == [deployed.process()])
    assert deployed.client().health().pid == deployed.process().pid


def processes_in(folder):
    """The servers of a deployment, which work in its home."""
    running = psutil.process_iter(["cwd"])
    return [process for process in running if process.info["cwd"] == str(folder)]


def outcome(deployed):
    try:
        return started(deployed)[0].state
    except StepFailed:
        return "failed"


def test_stop_lets_open_requests_finish_and_stopping_again_is_no_error(deployed):
    started(deployed)
    process = deployed.process()
    connection = http.client.HTTPConnection(deployed.spec().host, deployed.spec().port, timeout=20)
    connection.request("GET", "/slow")
    wait_for(lambda: any(c.status == "ESTABLISHED" for c in process.net_connections()))
    assert lifecycle.stop(deployed.spec(), deployed.settings)
    assert connection.getresponse().read() == b'{"finished":true}'
    assert not is_alive(process)
    assert not pid_file("session-buddy", deployed.places).exists()
    assert not lifecycle.stop(deployed.spec(), deployed.settings)


def test_a_pid_file_left_by_a_kill_is_recognised_as_stale(deployed):
    started(deployed)
    process = deployed.process()
    process.kill()
    wait_for(lambda: not is_alive(process))
    assert pid_file("session-buddy", deployed.places).exists()
    assert deployed.process() is None
    assert started(deployed)[0].state == "started"


def test_a_process_that_has_the_pid_of_a_dead_server_is_not_touched(deployed):
    path = pid_file("session-buddy", deployed.places)
    path.parent.mkdir(parents=True)
    path.write_text(f'{{"pid": {os.getpid()}, "started": 1.0}}')
    assert not lifecycle.stop(deployed.spec(), deployed.settings)


@pytest.mark.parametrize("content", ["", "12", "{}", '{"pid": "x"}', '{"pid": -1, "started": 0}'])
def test_a_damaged_pid_file_names_nobody(tmp_path, content):
    path = tmp_path / "server.pid"
    path.write_text(content)
    assert read_process(path) is None


def test_a_port_that_somebody_else_has_is_named_with_its_holder(deployed):
    port = deployed.spec().port
    holder = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: psutil.Process(holder.pid).net_connections())
        with pytest.raises(StepFailed, match=rf"port {port} .*\(pid {holder.pid}\)") as caught:
            started(deployed)
        assert caught.value.exit_code == 1
        assert "another port" in caught.value.hint
    finally:
        holder.kill()
        holder.wait(10)


def test_the_server_of_another_deployment_on_the_port_is_not_taken_for_ours(
    running, tmp_path, monkeypatch
):
    pid = running.process().pid
    ours = deployment(tmp_path / "ours", monkeypatch)
    with pytest.raises(StepFailed, match=rf"another deployment \(pid {pid}\)"):
        lifecycle.start(running.spec(), ours.settings)


def test_a_server_that_cannot_start_is_told_with_its_own_error(deployed):
    with pytest.raises(StepFailed, match="did not start: the disk said no"):
        started(deployed, "dies")


def test_a_server_without_a_key_is_told_with_its_own_hint(deployed):
    deployed.places.keyring.unlink()
    with pytest.raises(StepFailed, match="no key") as caught:
        started(deployed)
    assert caught.value.hint == "make real ones with: invoke secret.generate"


def test_a_server_that_is_not_healthy_in_time_is_told_with_what_fails(deployed):
    spec = deployed.spec("unhealthy")
    with pytest.raises(StepFailed, match="does not answer"):
        lifecycle.start(spec, deployed.settings, seconds=0.0)
    wait_for(lambda: ask(spec))
    with pytest.raises(StepFailed, match="is unhealthy: Database asked") as caught:
        lifecycle.start(spec, deployed.settings, seconds=0.2)
    assert str(spec.log) in caught.value.hint


def test_a_hangup_is_a_graceful_stop(deployed):
    started(deployed)
    process = deployed.process()
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: not is_alive(process))
    assert "event=stopped" in deployed.spec().log.read_text()


def test_the_release_runs_when_there_is_one_and_else_this_environment(deployed):
    argv = server_argv("session-buddy", "tracker.cli", deployed.places, "mcp", "start")
    assert argv[0].startswith(sys.prefix)
    released = deployed.places.current / "bin" / "session-buddy"
    released.parent.mkdir(parents=True)
    released.touch()
    argv = server_argv("session-buddy", "tracker.cli", deployed.places, "mcp", "start")
    assert argv == (str(released), "mcp", "start")
    assert server_argv("no-such", "a.b", deployed.places, "x")[1:] == ("-m", "a.b", "x")


def test_the_manager_is_found_by_what_the_deployment_has(deployed, monkeypatch, tmp_path):
    def kind():
        return supervision("session-buddy", ["x"], tmp_path / "out", deployed.places)

    assert isinstance(kind(), Detached)
    deployed.places.etc.mkdir(exist_ok=True)
    (deployed.places.etc / "supervisord.conf").touch()
    assert isinstance(kind(), Supervisor)
    monkeypatch.setattr("tracker.web.supervision.SYSTEMD_RUNS", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert isinstance(kind(), Supervisor)
    unit = tmp_path / "systemd/user/session-buddy.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("ExecStart=/elsewhere/current/bin/session-buddy")
    assert isinstance(kind(), Supervisor)
    unit.write_text(f"ExecStart={deployed.places.current}/bin/session-buddy")
    assert isinstance(kind(), Systemd)


@pytest.fixture
def supervised(deployed, tmp_path):
    """The deployment with supervisor to look after its server."""
    config = deployed.places.etc / "supervisord.conf"
    socket = tmp_path / "s"
    command = " ".join(deployed.spec().argv)
    config.write_text(
        textwrap.dedent(f"""
        [unix_http_server]
        file={socket}
        [supervisord]
        logfile={tmp_path}/supervisord.log
        pidfile={tmp_path}/supervisord.pid
        [rpcinterface:supervisor]
        supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
        [supervisorctl]
        serverurl=unix://{socket}
        [program:session-buddy]
        command={command}
        startsecs=0
        """)
    )
    yield deployed
    pid = int((tmp_path / "supervisord.pid").read_text())
    supervisor = psutil.Process(pid)
    supervisor.kill()  # asked to stop, it takes two seconds
    wait_for(lambda: not is_alive(supervisor))


def test_supervisor_is_started_and_told_what_to_do_and_brings_back_what_dies(supervised, free_port):
    result, _ = started(supervised)
    assert result.manager == "supervisor"
    killed = supervised.process()
    killed.kill()
    wait_for(lambda: (health := ask(supervised.spec())) and health.pid != killed.pid)
    assert started(supervised)[0].state == "already running"
    assert lifecycle.stop(supervised.spec(), supervised.settings)
    assert ask(supervised.spec()) is None
    nobody = replace(supervised.spec(), name="somebody-else", port=free_port)
    with pytest.raises(StepFailed, match=r"supervisorctl failed: .*no such"):
        lifecycle.start(nobody, supervised.settings)
