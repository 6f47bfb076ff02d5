"""What a hooked shell leaves in the record: commands with their ends, and its own end."""

from __future__ import annotations

import os
import signal

import pexpect
import pytest
from deployments import wait_for
from shells import frugal

HIDDEN = "hunter2hunter2"


def texts(events):
    return [event["data"]["text"] for event in events if event["event_type"] == "command"]


def test_commands_exit_codes_and_the_end(hooked, name):
    with hooked.shell(name) as shell:
        # A recorder that comes after the end of its shell finds no terminal.
        wait_for(hooked.spooled)
        shell.type("true")
        shell.type("(exit 7)")
        assert shell.leave("exit 3") == 3
    start, first, second, end = hooked.session(shell.pid)
    facts = start["session"]
    assert (facts["component"], facts["session_type"], facts["pid"]) == (name, "shell", shell.pid)
    assert facts["cwd"] == str(hooked.home)
    assert facts["version"].startswith("5.")
    assert facts["metadata"]["terminal"].startswith("/dev/pts/")
    assert (first["data"], first["exit_code"]) == ({"text": "true", "outcome": "ok"}, 0)
    assert (second["data"], second["exit_code"]) == ({"text": "(exit 7)", "outcome": "failed"}, 7)
    assert first["duration_seconds"] >= 0
    assert (end["event_type"], end["exit_code"], end["data"]) == ("session_end", 3, {})


def test_a_private_command_is_nowhere_and_a_secret_is_masked(hooked, name):
    with hooked.shell(name) as shell:
        shell.type(f" echo {HIDDEN} >/dev/null")
        shell.type(f"export DB_PASSWORD={HIDDEN}")
        shell.leave("exit")
    assert texts(hooked.session(shell.pid)) == ["export DB_PASSWORD=********"]
    kept = [file.read_bytes() for file in hooked.spool.parent.rglob("*") if file.is_file()]
    assert kept
    assert not any(HIDDEN.encode() in content for content in kept)


def test_the_folder_is_told_when_it_has_changed(hooked, name):
    with hooked.shell(name) as shell:
        for line in ("cd /usr", "true", "pwd"):
            shell.type(line)
        shell.leave("exit")
    events = [e for e in hooked.session(shell.pid) if e["event_type"] == "command"]
    assert [event["data"].get("cwd") for event in events] == [None, "/usr", None]


def test_commands_of_several_lines(hooked, name):
    with hooked.shell(name, "PS2=") as shell:
        shell.type("cat <<END\none\ntwo\nEND")
        shell.type("echo 'a\nb'")
        shell.leave("exit")
    assert texts(hooked.session(shell.pid)) == ["cat <<END\none\ntwo\nEND", "echo 'a\nb'"]


def test_a_command_longer_than_a_pipe_holds_is_cut_and_says_so(hooked, name):
    with hooked.shell(name, "PS2=") as shell:
        shell.child.send(": '")
        # In lines, since a terminal without a line editor takes 4095 characters at a time.
        for _ in range(70):
            shell.child.sendline(f"{'x' * 1000}")
            shell.child.expect_exact("\n")
        shell.type("'")
        shell.leave("exit")
    (long,) = texts(hooked.session(shell.pid))
    assert long.startswith(": 'xxx")
    assert long.endswith("characters cut)")


def test_rubbish_is_recorded_as_text(hooked, name):
    with hooked.shell(name) as shell:
        shell.type("printf '%s' \u00e9\u4e2d \\\\ \"'\" > /dev/null # \u00fc")
        shell.type("true")
        shell.leave("exit")
    recorded = texts(hooked.session(shell.pid))
    assert "\u00e9\u4e2d" in recorded[0]
    assert recorded[1] == "true"


def test_an_empty_line_and_ctrl_c_at_the_prompt_are_no_commands(hooked, name):
    with hooked.shell(name, "setopt zle" if name == "zsh" else "") as shell:
        shell.type("true")
        shell.type("")
        shell.child.send("half")
        shell.child.expect("h.*a.*l.*f")  # the line editor is there
        shell.waits_for_a_key()
        shell.child.sendintr()
        shell.prompt()
        shell.leave("exit")
    assert texts(hooked.session(shell.pid)) == ["true"]


def test_an_interrupted_command(hooked, name):
    with hooked.shell(name) as shell:
        shell.child.sendline("sleep 60")
        wait_for(lambda: children(shell.pid))
        shell.child.sendintr()
        shell.prompt()
        shell.leave("exit 0")
    _, command, _ = hooked.session(shell.pid)
    assert (command["data"]["outcome"], command["exit_code"]) == ("interrupted", 130)
    assert command["data"]["error"] == "SIGINT"


def test_a_stopped_command_has_not_ended(hooked, name):
    with hooked.shell(name) as shell:
        shell.child.sendline("sleep 60")
        wait_for(lambda: children(shell.pid))
        shell.child.send("\x1a")
        shell.prompt()
        shell.type("kill -9 %1; wait")
        assert shell.leave("exit 0") == 0
    command = next(e for e in hooked.session(shell.pid) if e["event_type"] == "command")
    assert command["data"] == {"text": "sleep 60", "outcome": "stopped"}
    assert "exit_code" not in command


def children(pid):
    """Commands that run in a shell, not the recorder, which is nobody's child."""
    import psutil

    return [one for one in psutil.Process(pid).children() if one.name() == "sleep"]


def test_ctrl_d_is_the_end(hooked, name):
    with hooked.shell(name) as shell:
        shell.type("true")
        shell.child.sendeof()
        shell.child.wait()
    *_, end = hooked.session(shell.pid)
    assert (end["exit_code"], end["data"]) == (0, {})


def test_a_lost_terminal(hooked, name):
    with hooked.shell(name) as shell:
        shell.type("true")
        shell.hang_up()
        *_, end = hooked.session(shell.pid)
    assert (end["exit_code"], end["data"]) == (129, {"reason": "SIGHUP"})


def test_a_terminal_that_is_lost_while_a_command_runs(hooked, name):
    with hooked.shell(name) as shell:
        shell.child.sendline("sleep 60")
        wait_for(lambda: children(shell.pid))
        shell.hang_up()
        *_, command, end = hooked.session(shell.pid)
    assert (command["data"]["text"], command["exit_code"]) == ("sleep 60", 129)
    assert (end["exit_code"], end["data"]) == (129, {"reason": "SIGHUP"})


def test_a_shell_that_is_told_to_hang_up_and_keeps_its_terminal(hooked, name):
    with hooked.shell(name) as shell:
        shell.type("true")
        shell.waits_for_a_key()
        os.kill(shell.pid, signal.SIGHUP)
        *_, end = hooked.session(shell.pid)
    # zsh itself exits with 1 then, and says nothing of the signal.
    expected = {"bash": (129, {"reason": "SIGHUP"}), "zsh": (1, {})}
    assert (end["exit_code"], end["data"]) == expected[name]


@pytest.mark.parametrize("how", ["trap 'echo bye' EXIT", "trap - EXIT", "eval 'trap - EXIT; true'"])
def test_an_exit_trap_that_is_set_later_does_not_make_a_crash(hooked, how):
    with hooked.shell("bash") as shell:
        shell.type(how)
        shell.type("true")
        shell.child.sendline("exit 3")
        *_, end = hooked.session(shell.pid)
        shell.child.expect(pexpect.EOF)
    assert ("bye" in shell.child.before) == ("bye" in how)
    assert (end["exit_code"], end["data"]) == (3, {})


def test_a_killed_shell_has_crashed(hooked, name):
    with hooked.shell(name) as shell:
        shell.type("true")
        os.kill(shell.pid, signal.SIGKILL)
    *_, command, end = hooked.session(shell.pid)
    assert command["data"]["text"] == "true"
    assert end["data"]["reason"] == "crash"


def test_exec_of_another_program_is_the_end(hooked, name):
    with hooked.shell(name) as shell:
        shell.child.sendline("exec sleep 60")
        *_, end = hooked.session(shell.pid)
    assert end["data"] == {"reason": "exec", "program": "sleep"}


def test_the_line_that_ends_the_shell_is_recorded_unless_it_is_only_the_exit(hooked, name):
    with hooked.shell(name) as shell:
        assert shell.leave("echo last; exit 4") == 4
    _, command, end = hooked.session(shell.pid)
    assert (command["data"]["text"], command["exit_code"]) == ("echo last; exit 4", 4)
    assert end["exit_code"] == 4


def test_what_runs_on_in_the_background_does_not_keep_the_session(hooked, name):
    with hooked.shell(name) as shell:
        shell.type("(trap '' HUP; while :; do sleep 0.2; done) >/dev/null 2>&1 </dev/null & disown")
        left = shell.type("echo pid=$!").rpartition("pid=")[2].split()[0]
        try:
            # It holds the terminal as well, so there is no end of the output to wait for.
            shell.child.sendline("exit 0")
            *_, end = hooked.session(shell.pid)
            os.kill(int(left), 0)
        finally:
            os.kill(int(left), signal.SIGKILL)
    assert (end["event_type"], end["exit_code"]) == ("session_end", 0)


def test_a_shell_in_a_shell_is_a_session_of_its_own(hooked, name):
    with hooked.shell(name) as shell:
        inner = shell.type(f"{name}") and shell.type("echo pid=$$")
        inner = int(inner.rpartition("pid=")[2].split()[0])
        shell.type("exit 2")
        shell.leave("exit 0")
    assert texts(hooked.session(inner)) == ["echo pid=$$"]
    assert texts(hooked.session(shell.pid)) == [name]


@pytest.mark.parametrize(
    ("how", "environ"),
    [(["-c", "true"], {}), (["-ic", "true"], {}), ([], {"MAHAVISHNU_SESSION_ENABLED": "false"})],
)
def test_what_is_not_recorded(hooked, name, how, environ):
    import subprocess

    hooked.start_up(name)
    run = subprocess.run(
        [name, *how],
        env={**hooked.environ, **environ},
        preexec_fn=frugal,
        input="true\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "session" not in run.stderr
    assert not hooked.spool.exists()


def test_a_disabled_shell_starts_no_recorder(hooked, name):
    with hooked.shell(name, MAHAVISHNU_SESSION_ENABLED="false") as shell:
        assert "session" not in shell.type("true")
        assert shell.leave("exit 5") == 5
    assert not hooked.spool.exists()
