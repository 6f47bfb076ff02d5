"""`mahavishnu shell -c CODE`: what it runs, records and exits with, without a terminal."""

from __future__ import annotations

import signal
import subprocess

import pytest
from told import commands, told

WAITING = "[print('ready', flush=True), __import__('time').sleep(60)]"
AWAITING = "[print('ready', flush=True), await __import__('asyncio').sleep(60)]"
"""Statements that say when they have begun, and then take long."""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("exit", commands()),
        ("", commands()),
        ("ps(); top(); sync()", commands("ps()", "top()", "sync()")),
        ("x = 1\nfor each in [x]:\n    print(each)\nexit", None),
        (" ps(); top()", commands()),
    ],
)
def test_each_top_level_statement_is_one_event(site, code, expected):
    done = site.shell(code)
    assert done.returncode == 0, done.err
    session = site.session_of(done.pid)
    assert told(session) == (expected or commands("x = 1", "for each in [x]:\n    print(each)"))
    assert (session["status"], session["session_type"]) == ("ended", "admin_shell")


def test_the_commands_of_the_guide_make_five_events(site):
    """Guide 4.2, piped in instead of typed."""
    done = site.run("shell", typed="ps()\ntop()\nerrors(5)\nexit\n")
    assert done.returncode == 0, done.err
    assert told(site.session_of(done.pid)) == commands("ps()", "top()", "errors(5)")


@pytest.fixture(scope="module")
def worked(site):
    """A shell in a repository in which several things were done, and then one failed."""
    subprocess.run(["git", "init", "-q", "-b", "topic", site.folder], check=True)
    code = "40 + 2; ps(); password = 'correct horse battery'; 1/0; print('never')"
    done = site.shell(code)
    done.session = site.session_of(done.pid)
    return done


def test_a_session_says_who_where_and_with_what(site, worked):
    session = worked.session
    assert session["component"] == "mahavishnu"
    assert session["metadata"]["git_branch"] == session["git_branch"] == "topic"
    assert "env" in session["metadata"]
    assert session["cwd"] == str(site.folder)
    assert session["user"]
    assert session["host"]
    assert session["version"]


def test_nothing_after_a_failure_is_run(worked):
    assert worked.returncode == 1
    assert told(worked.session)[-2:] == commands("1/0")[-2:]


def test_results_are_plain_and_errors_go_to_standard_error(worked):
    assert worked.out == "42\nno runs yet; start one with: invoke deploy\n"
    assert worked.err.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "\x1b" not in worked.out + worked.err


def test_secrets_do_not_leave_the_shell(worked):
    assert "battery" not in str(worked.session)
    assert ("command", "password = '********'") in told(worked.session)


def test_nothing_is_written_to_the_users_own_ipython_folder(site, worked):
    assert list(site.home.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "exit_code", "error"),
    [
        ("1/0", 1, "ZeroDivisionError: division by zero"),
        ("def f(", 1, "SyntaxError: incomplete input"),
        ("%nosuch", 1, "UsageError: Line magic function `%nosuch` not found."),
        ("raise SystemExit('no more')", 1, "no more"),
        ("raise KeyboardInterrupt", 130, "SIGINT"),
    ],
)
def test_code_that_fails_makes_a_failed_session_and_says_why(site, code, exit_code, error):
    done = site.shell(code)
    assert done.returncode == exit_code
    session = site.session_of(done.pid)
    assert (session["status"], session["exit_code"]) == ("failed", exit_code)
    [command] = [event for event in session["events"] if event["event_type"] == "command"]
    assert command["exit_code"] == exit_code
    assert command["data"]["text"] == code
    assert command["data"]["error"].startswith(error)


def test_exit_takes_an_exit_code_and_ends_at_once(site):
    done = site.shell("ps(); exit(4); top()")
    assert done.returncode == 4
    assert told(site.session_of(done.pid)) == commands("ps()")


def test_a_shell_command_is_recorded_with_its_own_exit_code(site):
    session = site.session_of(site.shell("!exit 3").pid)
    command = session["events"][1]
    assert (command["data"]["text"], command["exit_code"]) == ("!exit 3", 3)
    assert command["data"]["outcome"] == "failed"


def test_our_own_errors_are_told_without_a_traceback(site):
    done = site.shell("%sessions many")
    assert done.err == "error: 'many' is not a number\n  write it like %sessions 30\n"


def test_rows_can_be_worked_with(site):
    done = site.shell("rows = %sessions 3\nprint(rows[0]['session_type'])")
    assert done.out == "admin_shell\n"


def test_errors_shows_what_failed_in_this_very_session(site):
    done = site.run("shell", "-c", "!exit 7\nerrors(1)")
    assert "!exit 7" in done.out
    assert "exit code 7" in done.out


@pytest.mark.parametrize("waiting", [WAITING, AWAITING])
def test_a_command_that_is_told_to_stop_still_ends_its_session(site, waiting):
    process = site.popen("shell", "-c", f"{waiting}; print('not this')")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    session = site.session_of(process.pid)
    assert (session["status"], session["exit_code"]) == ("failed", 143)
    *_, command, end = session["events"]
    assert command["data"] == {
        "text": waiting,
        "outcome": "interrupted",
        "error": "SIGTERM",
    }
    assert end["data"] == {"reason": "SIGTERM"}


def test_code_that_swallows_the_signal_does_not_keep_the_shell_open(site):
    code = (
        "import time\n"
        "try:\n    print('ready', flush=True); time.sleep(60)\n"
        "except BaseException:\n    print('swallowed')"
    )
    process = site.popen("shell", "-c", code)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert site.session_of(process.pid)["events"][-1]["data"] == {"reason": "SIGTERM"}


def test_a_hangup_that_was_to_be_ignored_is_ignored(site):
    process = site.popen(
        "shell",
        "-c",
        "print('ready', flush=True); input()",
        stdin=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    process.communicate("\n", timeout=20)
    assert process.returncode == 0


def test_with_recording_switched_off_nothing_is_recorded(lone_site):
    done = lone_site.shell("ps(); sync()", MAHAVISHNU_SESSION_ENABLED="false")
    assert done.returncode == 0
    assert not lone_site.places.spool.exists()


def test_without_a_tracker_nothing_is_lost(lone_site):
    first = lone_site.shell("ps(); sync()")
    assert first.returncode == 0
    assert "does not answer" in first.out
    killed = lone_site.popen("shell", "-c", f"ps(); {WAITING}")
    assert "ready\n" in iter(killed.stdout.readline, "")
    killed.kill()
    killed.wait()
    waiting = [(event["event_type"], event["data"].get("text")) for event in lone_site.spooled()]
    assert waiting == [
        ("session_start", None),
        ("command", "ps()"),
        ("command", "sync()"),
        ("session_end", None),
        ("session_start", None),
        ("command", "ps()"),
    ]
    with lone_site.tracker():
        later = lone_site.shell("sync()")
        assert told(lone_site.session_of(first.pid)) == commands("ps()", "sync()")
        assert told(lone_site.session_of(later.pid)) == commands("sync()")
        [half] = [one for one in lone_site.sessions() if one["pid"] == killed.pid]
        assert half["status"] == "active"
        assert told(lone_site.with_events(half)) == commands("ps()")[:-1]


def test_a_traced_session_is_in_the_log(lone_site):
    lone_site.shell("ps()", MAHAVISHNU_TRACE_SESSIONS="true")
    lines = (lone_site.places.log / "mahavishnu.log").read_text().splitlines()
    steps = ["session_start", "command", "session_end"]
    assert [line.split("level=TRACE event=")[1].split()[0] for line in lines] == steps
    assert "does not answer" in lines[-1]
