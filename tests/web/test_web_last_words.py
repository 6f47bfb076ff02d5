"""What a person is told of a server that did not come up, and of one whose PID file is damaged."""

from __future__ import annotations

import os
import stat

import pytest

from schemas.errors import StepFailed
from tracker.web import lifecycle
from tracker.web.last_words import did_not_start, said_since, size
from tracker.web.pidfile import pid_file, reclaimed
from tracker.web.processes import is_alive
from tracker.web.supervision import Supervisor


def tool(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_start_that_supervisor_refuses_says_what_the_server_said(tmp_path):
    console = tmp_path / "console.log"
    console.write_text("error: of yesterday\n", encoding="utf-8")
    said = f"printf 'error: the keys are gone\\n  invoke secret.generate\\n' >> {console}"
    refusal = "echo 'session-buddy: ERROR (spawn error)'"
    tool(tmp_path, "supervisorctl", f'test "$3" = pid || {{ {said}; {refusal}; }}')
    keeper = Supervisor("session-buddy", tmp_path / "conf", tmp_path, console)
    with pytest.raises(StepFailed, match="the keys are gone") as raised:
        keeper.start()
    assert raised.value.hint == "invoke secret.generate"


def test_a_server_that_supervisor_has_given_up_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.web.supervision._ASKED_EVERY", 0.0)
    console = tmp_path / "console.log"
    status = "echo 'session-buddy   FATAL   Exited too quickly'"
    tool(tmp_path, "supervisorctl", status)
    keeper = Supervisor("session-buddy", tmp_path / "conf", tmp_path, console)
    assert "Exited too quickly" in keeper.failure()
    console.write_text("error: no disk\n", encoding="utf-8")
    assert keeper.failure() == "error: no disk"


def test_last_words(tmp_path):
    output = tmp_path / "out"
    assert (size(output), said_since(output, 0)) == (0, "")
    output.write_text("rotated", encoding="utf-8")
    assert said_since(output, 100) == "rotated"
    assert str(did_not_start("It", "one\ntwo", "see")).startswith("It did not start: two")


def test_a_damaged_pid_file_does_not_make_our_server_a_stranger(running):
    process = running.process()
    path = pid_file(running.spec().name, running.places)
    path.write_text("garbage", encoding="utf-8")
    result = lifecycle.start(running.spec(), running.settings)
    assert result.state == "already running"
    assert running.process().pid == process.pid
    path.write_text("garbage", encoding="utf-8")
    assert lifecycle.stop(running.spec(), running.settings)
    assert not is_alive(process)


def test_a_process_of_another_home_is_not_reclaimed(deployed, tmp_path):
    path = tmp_path / "other.pid"
    assert reclaimed(path, os.getppid(), deployed.places) is None
    assert not path.exists()
