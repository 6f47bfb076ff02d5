"""Steps of ``sessions.feature``."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from features.conftest import Scene
from features.deployment import Deployment

scenarios("sessions.feature")

LIST = "session-buddy list-sessions --type admin_shell"
EVENTS = "session-buddy list-events --session-id"


@given(parsers.re(r'I ran an admin shell with "(?P<code>.+)"$'))
@when(parsers.re(r'I run an admin shell with "(?P<code>.+)"$'))
def admin_shell(deployment: Deployment, scene: Scene, code: str) -> None:
    """Run the shell; its process id tells its session from everybody else's."""
    scene.finished = deployment.run("mahavishnu shell -c", code)
    listed = deployment.run(
        "session-buddy list-sessions --type admin_shell --limit 1000 --format json"
    )
    assert listed.exit_code == 0, listed
    own = [each for each in json.loads(listed.stdout) if each["pid"] == scene.finished.pid]
    assert own, f"no session of process {scene.finished.pid}\n{scene.finished}\n{listed}"
    scene.session_id = own[0]["session_id"]


def _session(deployment: Deployment, scene: Scene) -> dict[str, Any]:
    got = deployment.run("session-buddy get-session", scene.session_id, "--format", "json")
    assert got.exit_code == 0, got
    session: dict[str, Any] = json.loads(got.stdout)
    return session


@then(parsers.parse('the tracker has that session with type "{kind}" and status "{status}"'))
def stored(deployment: Deployment, scene: Scene, kind: str, status: str) -> None:
    session = _session(deployment, scene)
    assert (session["session_type"], session["status"]) == (kind, status), session


@then("its events are, in order")
def events_in_order(deployment: Deployment, scene: Scene, datatable: list[list[str]]) -> None:
    got = deployment.run(
        "session-buddy list-events --session-id", scene.session_id, "--format", "json"
    )
    events = [
        [event["event_type"], event["data"].get("text", "")] for event in json.loads(got.stdout)
    ]
    assert events == datatable[1:], got


@then("the output shows that session's id")
def shows_id(scene: Scene) -> None:
    assert scene.session_id in scene.last.stdout, scene.last


@then(parsers.re(r"the output shows the columns (?P<columns>.+)$"))
def shows_columns(scene: Scene, columns: str) -> None:
    heading = next((line for line in scene.last.stdout.splitlines() if "Session ID" in line), "")
    for column in columns.replace(" and ", ", ").split(", "):
        assert column.strip('"') in heading, scene.last


@when("I list the events of that session")
def list_events(deployment: Deployment, scene: Scene) -> None:
    scene.finished = deployment.run(EVENTS, scene.session_id)


@when("I get that session as JSON")
def get_session(deployment: Deployment, scene: Scene) -> None:
    scene.notes["session"] = _session(deployment, scene)


@pytest.fixture
def session(scene: Scene) -> dict[str, Any]:
    """The session that the scenario got."""
    session = scene.notes["session"]
    assert isinstance(session, dict)
    return session


@then("it has these fields")
def has_fields(session: dict[str, Any], datatable: list[list[str]]) -> None:
    for name, value in datatable[1:]:
        assert str(session[name]) == value, f"{name} is {session[name]!r}"


@then("it has a start, an end and a duration that fit together")
def times_fit(session: dict[str, Any]) -> None:
    start = datetime.fromisoformat(session["start_time"])
    end = datetime.fromisoformat(session["end_time"])
    assert start.tzinfo is not None
    assert (end - start).total_seconds() == pytest.approx(session["duration_seconds"], abs=0.01)


@then("it names the user and the host")
def names_user(session: dict[str, Any]) -> None:
    assert session["user"], "the session has no user"
    assert session["host"], "the session has no host"
