"""Ordinary shells, recorded by the hook, as the commands show them once they are in the tracker."""

from __future__ import annotations

import json
import os
import signal

import pytest
from deployments import wait_for
from shells import Hooked

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


@pytest.fixture(params=["bash", pytest.param("zsh", marks=pytest.mark.needs("zsh"))])
def name(request):
    return request.param


@pytest.fixture
def hooked(up, tmp_path):
    return Hooked(up, tmp_path)


def listed(up, pid):
    """The ended session of a shell, from ``list-sessions``."""

    def found():
        session = session_of(up, pid)
        return session if session and session["status"] != "active" else None

    return wait_for(found)


def session_of(up, pid):
    told = json.loads(up.output("list-sessions", "--type", "shell", "--json"))
    return next((session for session in told if session["pid"] == pid), None)


def events(up, session_id):
    return json.loads(up.output("list-events", "--session-id", session_id, "--json"))


def test_a_session_in_the_tracker(up, hooked, name):
    with hooked.shell(name) as shell:
        shell.type(f"echo quokka-{name}")
        shell.type(f"export GITHUB_TOKEN={TOKEN}")
        shell.type("(exit 7)")
        assert shell.leave("exit 3") == 3
    session = listed(up, shell.pid)
    assert (session["component"], session["exit_code"]) == (name, 3)
    assert session["status"] == "failed"
    assert session["duration_seconds"] > 0

    start, echo, export, failed, end = events(up, session["session_id"])
    assert start["event_type"] == "session_start"
    assert echo["data"]["text"] == f"echo quokka-{name}"
    assert (echo["exit_code"], echo["data"]["outcome"]) == (0, "ok")
    assert echo["duration_seconds"] >= 0
    assert export["data"]["text"] == "export GITHUB_TOKEN=********"
    assert (failed["exit_code"], failed["data"]["outcome"]) == (7, "failed")
    assert (end["event_type"], end["exit_code"]) == ("session_end", 3)

    assert session["session_id"] in up.output("search", f"quokka-{name}", "--json")
    told = up.output("list-events", "--session-id", session["session_id"], "--json")
    everything = told + up.output("search", TOKEN, "--json")
    assert TOKEN not in everything.replace(json.dumps(TOKEN), "")


def test_a_killed_shell_is_a_failed_session(up, hooked, name):
    with hooked.shell(name) as shell:
        shell.type("true")
        wait_for(lambda: session_of(up, shell.pid))
        os.kill(shell.pid, signal.SIGKILL)
        assert listed(up, shell.pid)["status"] == "failed"


def test_an_end_without_an_exit_code_is_accepted(up):
    from tracker.client.emitter import Emitter
    from tracker.client.facts import session_facts

    emitter = Emitter(session_facts("bash", "shell", version="5.2"), up.settings, delivery="manual")
    emitter.start()
    emitter.end(None, {"reason": "crash", "error": "the shell ended without a word"})
    assert emitter.flush()
    *_, end = events(up, emitter.session_id)
    assert (end["event_type"], end.get("exit_code")) == ("session_end", None)
    session = json.loads(up.output("get-session", emitter.session_id, "--json"))
    assert session["status"] == "failed"
