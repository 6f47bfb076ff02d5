"""Tasks that let a release's own commands do the work: acceptance, database, model, notify."""

import json
import sys

import pytest

from orchestrator.tasks.acceptance import Scenario, read_report
from schemas.errors import InvalidInput, NotFound, StepFailed

MANIFEST = {
    "name": "sessions-20260101-000000.db.zst",
    "directory": "/b",
    "size": 1500,
    "sessions": 7,
}


@pytest.fixture
def release(bench):
    """A release in use; ``command(text)`` says what its session-buddy is, as a line of sh."""
    folder = bench.places.releases / "r 1"
    (folder / "bin").mkdir(parents=True)
    (folder / "ops").mkdir()
    bench.places.current.symlink_to(folder)

    def program(name, text):
        path = folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return folder

    return program


class TestBackup:
    @pytest.fixture
    def database(self, bench):
        bench.settings.database.parent.mkdir(parents=True)
        bench.settings.database.touch()

    def test_without_a_database_there_is_nothing_to_back_up(self, bench):
        outcome = bench("database.backup")
        assert not outcome.changed
        assert "no database" in outcome.message

    @pytest.mark.usefixtures("database")
    def test_is_made_by_the_release_in_use(self, bench, release):
        release(
            "session-buddy", f"test \"$4 $5\" = '--reason a b' && echo '{json.dumps(MANIFEST)}'"
        )
        outcome = bench("database.backup", reason="a b")
        assert outcome.changed
        assert outcome.message == "sessions-20260101-000000.db.zst, 1.5 KB, 7 sessions"
        assert outcome.outputs == MANIFEST

    @pytest.mark.usefixtures("database")
    def test_its_command_belongs_to_this_deployment(self, bench, release):
        manifest = '{"name": "%s", "directory": "", "size": 1, "sessions": 0}'
        echo = f"printf '{manifest}' \"$MAHAVISHNU_HOME\""
        release("session-buddy", echo)
        assert bench("database.backup").outputs["name"] == str(bench.places.home)

    @pytest.mark.usefixtures("database")
    def test_that_fails_is_told_with_what_the_command_said(self, bench, release):
        release("session-buddy", "echo 'error: no room' >&2; echo '  make some' >&2; exit 1")
        with pytest.raises(StepFailed, match="no backup could be made: no room; make some"):
            bench("database.backup")

    @pytest.mark.usefixtures("database")
    def test_a_deploy_goes_on_when_the_tracker_is_down(self, bench_with, release):
        bench = bench_with(SESSION_BUDDY_PORT="9")
        release("session-buddy", "exit 1")
        assert "does not answer" in bench("database.backup", when_down="skip").message
        with pytest.raises(InvalidInput, match="fail or skip"):
            bench("database.backup", when_down="maybe")

    @pytest.mark.usefixtures("database")
    def test_without_a_release_it_is_told(self, bench):
        with pytest.raises(StepFailed, match="no release is in use"):
            bench("database.backup")

    @pytest.mark.usefixtures("database")
    def test_check_mode_makes_none(self, bench, release):
        release("session-buddy", "exit 1")
        assert bench.checked("database.backup").changed


class TestModel:
    @pytest.mark.parametrize(
        ("state", "code", "changed"),
        [("fetched", 0, True), ("present", 0, False), ("unavailable", 1, False)],
    )
    def test_what_the_command_says_is_told_and_never_a_failure(
        self, bench, release, state, code, changed
    ):
        answer = json.dumps({"state": state, "path": None, "reason": "because"})
        release("session-buddy", f"echo '{answer}'; exit {code}")
        outcome = bench("model.fetch")
        assert (outcome.changed, outcome.message) == (changed, "because")
        assert outcome.outputs["state"] == state

    @pytest.mark.parametrize("text", ["echo broken", "exit 3", "sleep 60"])
    def test_a_command_that_breaks_is_no_failure_either(self, bench, release, text):
        release("session-buddy", text)
        outcome = bench("model.fetch", wait=0.5)
        assert not outcome.changed
        assert "stays off" in outcome.message

    def test_is_left_alone_when_the_search_is_off(self, bench_with):
        bench = bench_with(SESSION_BUDDY_SEMANTIC_SEARCH="false")
        assert bench("model.fetch").message == "semantic search is off"


FEATURE = """\
Feature: Things
  @smoke
  Scenario: Good things (guide 4.1)
    Given a thing
  Scenario: Bad things
    Given a thing
    Then it is broken
"""
STEPS = """\
from pytest_bdd import given, then, scenarios
scenarios("things.feature")
@given("a thing")
def thing(pytestconfig):
    assert pytestconfig.getoption("--deployment") == "live"
@then("it is broken")
def broken():
    found = "in pieces"
    assert found == "whole"
"""
PLUGIN = """\
def pytest_addoption(parser):
    parser.addoption("--deployment")
def pytest_configure(config):
    config.addinivalue_line("markers", "smoke: smoke")
"""


class TestAcceptance:
    @pytest.fixture
    def scenarios(self, release, bench):
        folder = release("python", f"exec '{sys.executable}' \"$@\"") / "ops" / "features"
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "plugin.py").write_text(PLUGIN)
        (folder / "things.feature").write_text(FEATURE)
        (folder / "test_things.py").write_text(STEPS)
        # A configuration file in a folder above is none of the scenarios' business.
        (bench.places.home / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")

    @pytest.mark.usefixtures("scenarios")
    def test_those_with_a_tag_are_run_and_counted(self, bench):
        outcome = bench("acceptance.run", tags="smoke")
        assert outcome.message == "1 scenario passed"
        assert outcome.outputs["scenarios"][0]["name"] == "Good things (guide 4.1)"

    @pytest.mark.usefixtures("scenarios")
    def test_those_that_fail_are_named_with_the_step_and_why(self, bench):
        with pytest.raises(StepFailed, match="1 of 2 scenarios failed\\n  Bad things") as caught:
            bench("acceptance.run")
        assert "Then it is broken: assert 'in pieces' == 'whole'" in str(caught.value)

    @pytest.mark.usefixtures("scenarios")
    def test_a_tag_that_none_has_is_told(self, bench):
        with pytest.raises(NotFound, match="no scenario is tagged 'other'"):
            bench("acceptance.run", tags="other")

    @pytest.mark.usefixtures("scenarios")
    def test_scenarios_that_cannot_even_be_read_are_told(self, bench):
        (bench.places.current / "ops" / "features" / "test_things.py").write_text("import no_such")
        with pytest.raises(StepFailed, match="could not be run"):
            bench("acceptance.run")

    def test_without_a_release_in_use_there_is_nothing_to_verify(self, bench):
        with pytest.raises(NotFound, match="no release is in use"):
            bench("acceptance.run")


def test_a_report_that_is_none_is_told():
    assert read_report(b"[]") == []
    with pytest.raises(StepFailed, match="no report"):
        read_report(b"")


def test_a_scenario_passed_when_each_of_its_steps_did():
    step = {"keyword": "Given", "name": "x", "result": {"status": "passed", "duration": 5 * 10**8}}
    report = [{"name": "F", "elements": [{"name": "S", "steps": [step, step]}]}]
    assert read_report(json.dumps(report).encode()) == [Scenario("F", "S", True, 1.0)]


class TestNotify:
    def test_a_message_is_on_the_run(self, bench):
        assert bench("notify.send", message="done", severity="P4").message == "P4: done"

    def test_another_severity_is_refused(self, bench):
        with pytest.raises(InvalidInput, match="P1, P2, P3, P4"):
            bench("notify.send", message="x", severity="high")
