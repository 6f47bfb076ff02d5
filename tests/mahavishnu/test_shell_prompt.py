"""`mahavishnu shell` on a terminal: what is typed, and every way in which it can end."""

from __future__ import annotations

import signal
import termios
from pathlib import Path

import pexpect
from told import commands, told


def test_what_is_typed_is_recorded_and_exit_is_the_end(site):
    with site.prompt() as shell:
        for number, line in enumerate(["ps()", "top()", "errors(5)"], start=2):
            shell.sendline(line)
            shell.expect(rf"In \[{number}\]:")
        shell.sendline("exit")
        shell.expect(pexpect.EOF)
        assert shell.wait() == 0
        session = site.session_of(shell.pid)
    assert told(session) == commands("ps()", "top()", "errors(5)")
    assert (session["status"], session["exit_code"]) == ("ended", 0)


def test_the_banner_a_table_and_a_value(site):
    with site.prompt() as shell:
        assert f"{site.places.home} (code: checkout)" in shell.before
        assert f"healthy on {site.settings.tracker_url}" in shell.before
        assert "ps() top() errors() sync() runbooks()" in shell.before
        shell.sendline("%repos")
        shell.expect("no repositories in the settings")
        shell.expect(r"In \[2\]:")
        assert "Out[1]" not in shell.before
        shell.sendline("6 * 7")
        shell.expect(r"Out\[2\]:.*42")


def test_ctrl_d_ends_it_at_once(site):
    with site.prompt() as shell:
        shell.sendeof()
        shell.expect(pexpect.EOF)
        assert shell.wait() == 0
        session = site.session_of(shell.pid)
    assert told(session) == commands()


def test_ctrl_c_stops_the_command_and_not_the_shell(site):
    with site.prompt() as shell:
        shell.sendline("[print('rea' + 'dy'), __import__('time').sleep(60)]")
        shell.expect("ready")
        shell.sendintr()
        shell.expect(r"In \[2\]:")
        shell.sendline("exit(5)")
        shell.expect(pexpect.EOF)
        assert shell.wait() == 5
        session = site.session_of(shell.pid)
    assert session["events"][1]["data"]["outcome"] == "interrupted"
    assert session["events"][1]["exit_code"] == 130
    assert session["exit_code"] == 5


def test_sigterm_at_the_prompt_ends_the_session_and_restores_the_terminal(site):
    with site.prompt() as shell:
        # Kept open here, because a terminal that nobody has open forgets its mode.
        with Path(f"/proc/{shell.pid}/fd/0").open("rb", buffering=0) as terminal:
            assert not termios.tcgetattr(terminal)[3] & termios.ECHO
            shell.kill(signal.SIGTERM)
            assert shell.wait() == 143
            assert termios.tcgetattr(terminal)[3] & termios.ECHO
        session = site.session_of(shell.pid)
    assert (session["status"], session["exit_code"]) == ("failed", 143)
    assert session["events"][-1]["data"] == {"reason": "SIGTERM"}


def test_a_lost_terminal_ends_the_session(site):
    with site.prompt() as shell:
        shell.sendline("x = 1")
        shell.expect(r"In \[2\]:")
        shell.close(force=False)
        session = site.session_of(shell.pid)
    assert told(session) == commands("x = 1")
    assert (session["exit_code"], session["events"][-1]["data"]) == (129, {"reason": "SIGHUP"})


def test_a_terminal_lost_during_a_command_ends_the_session(site):
    with site.prompt() as shell:
        shell.sendline("[print('rea' + 'dy'), __import__('time').sleep(60)]")
        shell.expect("ready")
        shell.close(force=False)
        session = site.session_of(shell.pid)
    assert session["events"][1]["data"]["error"] == "SIGHUP"
    assert session["events"][-1]["data"] == {"reason": "SIGHUP"}


def test_the_next_shell_remembers_the_lines_but_not_the_private_ones(lone_site):
    with lone_site.prompt() as shell:
        shell.sendline("known = 1")
        shell.expect(r"In \[2\]:")
        shell.sendline(" hidden = 2")
        shell.expect(r"In \[2\]:")
        shell.sendline("exit")
        shell.expect(pexpect.EOF)
    with lone_site.prompt() as shell:
        shell.send("\x10")  # Ctrl-P, the line before
        shell.expect("known = 1")
    texts = [event["data"].get("text") for event in lone_site.spooled()]
    assert "known = 1" in texts
    assert "hidden = 2" not in str(texts)
