"""What may go wrong beside a hooked shell: its prompt comes as ever, and the loss is told."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import psutil
from deployments import wait_for

from tracker.client.emitter import Emitter
from tracker.client.facts import session_facts
from tracker.client.hooks.session import ShellSession
from tracker.client.hooks.stream import BASH, Stream


def texts(events):
    return [event["data"]["text"] for event in events if event["event_type"] == "command"]


def test_a_recorder_that_stands_still_with_a_full_pipe(hooked, name):
    with hooked.shell(name) as shell:
        shell.type("true")
        recorder = shell.recorder()
        wait_for(lambda: texts(hooked.spooled()) == ["true"])
        recorder.send_signal(signal.SIGSTOP)
        wait_for(lambda: recorder.status() == psutil.STATUS_STOPPED)
        pipe = shell.pipe()
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        os.close(pipe)
        shown = [shell.type(f"echo {'x' * 1000} >/dev/null; echo {number}") for number in range(8)]
        assert all(line.endswith(f"{number}\n") for number, line in enumerate(shown))
        recorder.send_signal(signal.SIGCONT)
        wait_for(lambda: len(texts(hooked.spooled())) > 1)
        shell.type("true")
        assert shell.leave("exit 0") == 0
    events = hooked.session(shell.pid)
    lost = sum(e["data"]["dropped"] for e in events if e["event_type"] == "gap")
    assert lost > 0
    assert 2 < len(texts(events)) < 10
    assert texts(events)[-1] == "true"


def test_a_command_that_ctrl_c_at_the_prompt_has_told_twice(hooked):
    """It may come anywhere in the hook: in the middle of a message, or between it and the rest."""
    fields = ["1700000000000000", "2", "", "", "history", "", "/", "    2  echo 1\n"]
    message = "\0".join(["\0\x1eC 7 1700000001000000 0", *fields, "\x1f\0"]).encode()
    emitter = Emitter(session_facts("bash", "shell", version="5.2"), hooked.settings)
    session = ShellSession(emitter, "/")
    stream = Stream(BASH)
    for told in (message[:50], message, message, message.replace(b"C 7", b"C 8")):
        for heard in stream.feed(told):
            session.hear(heard)
    emitter.end()
    kinds = [event["event_type"] for event in hooked.spooled()]
    assert kinds.count("command") == 1
    assert "gap" not in kinds


def test_a_killed_recorder_is_replaced_and_nothing_is_lost(hooked, name):
    with hooked.shell(name) as shell:
        shell.type("echo 1")
        wait_for(lambda: texts(hooked.spooled()) == ["echo 1"])
        recorder = shell.recorder()
        recorder.kill()
        wait_for(lambda: not Path(f"/proc/{recorder.pid}/exe").exists())
        assert shell.type("echo 2").endswith("2\n")

        def replaced():
            shell.type(" true")
            return any(event["event_type"] == "gap" for event in hooked.spooled())

        wait_for(replaced)
        assert shell.leave("exit 6") == 6
    events = hooked.session(shell.pid)
    assert sorted(texts(events)) == ["echo 1", "echo 2"]
    assert len({event["session_id"] for event in events}) == 1
    assert events[-1]["exit_code"] == 6


def test_a_spool_that_cannot_be_written(hooked, name):
    hooked.spool.parent.mkdir(parents=True)
    hooked.spool.write_text("no folder")
    with hooked.shell(name) as shell:
        assert shell.type("echo 1").endswith("1\n")
        assert shell.type("echo 2").endswith("2\n")
        assert shell.leave("exit 3") == 3
    assert hooked.spool.read_text() == "no folder"


def test_what_a_spool_did_not_take_is_told_when_it_takes_it_again(hooked, name):
    hooked.spool.parent.mkdir(parents=True)
    hooked.spool.write_text("no folder")
    with hooked.shell(name) as shell:
        for line in ("echo 1", "echo 2", "echo 3"):
            shell.type(line)
            # What came before this line has met the disk when this line is read.
            wait_for(lambda: shell.unread() == 0)
        hooked.spool.unlink()
        shell.type("echo 4")
        assert shell.leave("exit 3") == 3
    start, *rest = hooked.session(shell.pid)
    assert start["event_type"] == "session_start"
    [gap] = [event for event in rest if event["event_type"] == "gap"]
    assert str(hooked.spool) in gap["data"]["reason"]
    assert gap["data"]["dropped"] >= 2
    assert gap["data"]["dropped"] + len(texts(rest)) == 4
    assert rest[-1]["exit_code"] == 3


def test_an_interpreter_that_was_removed(hooked, name):
    with hooked.shell(name, after="__session_buddy_python=/nonexistent/python") as shell:
        assert shell.type("echo 1") == "echo 1\n1\n" or name == "zsh"
        assert shell.leave("exit 2") == 2
    assert not hooked.spool.exists()
