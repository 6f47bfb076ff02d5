"""``-e NAME`` takes an environment's hosts and variables; it may ask for its name, or be frozen."""

from __future__ import annotations

import os
import pty
import secrets
import subprocess
import sys
import textwrap
from datetime import UTC, datetime

import pytest

from orchestrator.engine.environment import Consent, frozen_by
from orchestrator.operations import get_run, plan_runbook, run_runbook
from orchestrator.runs import resume_run
from schemas.environment import Environment
from schemas.errors import Frozen, InvalidInput, NotAuthorised, NotFound
from schemas.keyring import load_keys, mint
from schemas.places import Places
from schemas.settings import Settings

HOSTS = "schema_version: 1\nhosts: {{{host}: {{connection: local}}}}\n"
STEPS = """
params: {word: {env: WORD, default: none}, pin: {env: PIN, secret: true}}
steps:
  - {id: a, task: trial.put, with: {path: "{work}/{{ host.name }}-{{ params.word }}"}}
"""
CHRISTMAS = datetime(2026, 12, 24, 18, tzinfo=UTC)


@pytest.fixture
def places(ops):
    """Two environments: staging lets everybody in, production asks and is frozen at times."""
    folder = ops.folder / "environments"
    folder.mkdir()
    (folder / "staging.yaml").write_text(HOSTS.format(host="stage"))
    (folder / "production.yaml").write_text(
        HOSTS.format(host="prod")
        + textwrap.dedent(
            """
            environment:
              name: production
              confirm: true
              zone: Europe/Berlin
              freeze:
                - {from: 2026-12-20, to: "2027-01-03", reason: nobody is here at Christmas}
            """
        )
    )
    ops.write("trial", STEPS.replace("{work}", str(ops.work)))
    return ops


def variables(ops, name, text, mode=0o600):
    path = ops.folder / "environments" / f"{name}.env"
    path.write_text(text)
    path.chmod(mode)
    return path


def run(ops, environment, **options):
    return run_runbook("trial", {}, ops=ops.folder, environment=environment, **options)


def consent(answer="production", at=datetime(2026, 11, 25, 12, tzinfo=UTC), **options):
    return Consent(typed=lambda _: answer, now=lambda: at, **options)


def rule(*freezes, zone="UTC"):
    return Environment.model_validate({"name": "p", "zone": zone, "freeze": list(freezes)})


def token(scopes, audience="mahavishnu"):
    keys = load_keys(Settings.load(Places.of_this_user()), audience)
    return mint(keys, audience, "ci", scopes, 5)


@pytest.fixture
def keyed(places, monkeypatch):
    monkeypatch.setenv("MAHAVISHNU_AUTH_SECRET", secrets.token_urlsafe(48))
    monkeypatch.setenv("SESSION_BUDDY_SECRET", secrets.token_urlsafe(48))
    return places


def test_an_environment_is_its_hosts_and_its_variables(places, monkeypatch):
    monkeypatch.setenv("WORD", "left-over-in-the-shell")
    variables(places, "staging", "WORD=blue\nPIN='1 2 3 4 5'\n")
    result = run(places, "staging")
    assert places.left() == {"stage-blue"}
    assert result.record.hosts == ["stage"]
    assert get_run("latest")[0].environment == "staging"
    for path in (places.home / "runs").rglob("*"):
        assert path.is_dir() or b"1 2 3 4 5" not in path.read_bytes(), path


def test_without_an_environment_nothing_is_of_one(places):
    assert run(places, "").record.environment == ""


def test_an_unknown_one_is_refused_with_the_nearest(places):
    with pytest.raises(NotFound) as error:
        run(places, "stagin")
    assert error.value.hint == "did you mean staging?"


def test_a_file_that_says_another_name_is_refused(places):
    folder = places.folder / "environments"
    (folder / "copy.yaml").write_text((folder / "production.yaml").read_text())
    with pytest.raises(InvalidInput, match="this is the environment 'production', not 'copy'"):
        run(places, "copy", consent=consent())


def test_variables_that_others_may_read_are_refused(places):
    variables(places, "staging", "WORD=blue\n", 0o644)
    with pytest.raises(InvalidInput, match=r"others may read these variables \(mode 0644\)"):
        run(places, "staging")


def test_a_damaged_line_is_named_and_not_quoted(places):
    variables(places, "staging", "WORD=blue\nhunter2-the-secret\n")
    with pytest.raises(InvalidInput) as error:
        run(places, "staging")
    assert "staging.env:2" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_production_runs_once_its_name_was_typed(places):
    assert run(places, "production", consent=consent("production")).state == "succeeded"
    assert places.left() == {"prod-none"}


@pytest.mark.parametrize("answer", ["", "y", "staging", "Production"])
def test_any_other_answer_runs_nothing(places, answer):
    with pytest.raises(InvalidInput, match="that is not 'production'; nothing was run"):
        run(places, "production", consent=consent(answer))
    assert not places.left()
    assert not places.runs.exists()


def test_plan_and_check_ask_nothing(places):
    assert plan_runbook("trial", {}, ops=places.folder, environment="production").rows()
    assert run(places, "production", check=True).record.environment == "production"
    assert not places.left()


@pytest.mark.parametrize("yes", [False, True])
def test_without_a_terminal_yes_is_not_enough(keyed, yes):
    with pytest.raises(InvalidInput, match="there is no terminal to type it at"):
        run(keyed, "production", consent=consent(None, yes=yes))


def test_a_token_without_yes_is_not_enough(keyed, monkeypatch):
    monkeypatch.setenv("MAHAVISHNU_AUTOMATION_TOKEN", token(["operate"]))
    with pytest.raises(InvalidInput, match="there is no terminal"):
        run(keyed, "production", consent=consent(None))


def test_automation_with_the_scope_goes_on_and_its_steps_do_not_see_the_token(keyed, monkeypatch):
    monkeypatch.setenv("MAHAVISHNU_AUTOMATION_TOKEN", token(["operate"]))
    result = keyed.run(
        f"steps: [{{id: a, run: 'env > {keyed.work}/env', undo: {{none: trial}}}}]",
        environment="production",
        consent=consent(None, yes=True),
    )
    assert result.state == "succeeded"
    assert "AUTOMATION_TOKEN" not in (keyed.work / "env").read_text()


@pytest.mark.parametrize("kind", ["nonsense", "another scope", "another audience", "another key"])
def test_a_token_that_does_not_allow_it_ends_with_4(keyed, monkeypatch, kind):
    text = {
        "nonsense": lambda: "a.b.c",
        "another scope": lambda: token(["read"]),
        "another audience": lambda: token(["operate"], "session-buddy"),
        "another key": lambda: token(["operate"]),
    }[kind]()
    if kind == "another key":
        monkeypatch.setenv("MAHAVISHNU_AUTH_SECRET", secrets.token_urlsafe(48))
    monkeypatch.setenv("MAHAVISHNU_AUTOMATION_TOKEN", text)
    with pytest.raises(NotAuthorised) as error:
        run(keyed, "production", consent=consent(None, yes=True))
    assert error.value.exit_code == 4
    assert text not in str(error.value)
    assert not keyed.left()


def test_a_freeze_refuses_with_its_reason_and_its_end(places):
    with pytest.raises(Frozen) as error:
        run(places, "production", consent=consent(at=CHRISTMAS))
    assert error.value.exit_code == 3
    assert "until 2027-01-04 00:00 CET: nobody is here at Christmas" in error.value.message
    assert not places.left()


def test_an_override_goes_on_and_is_recorded(places):
    run(places, "production", consent=consent(at=CHRISTMAS, override="the site is down"))
    assert get_run("latest")[0].freeze_override == "the site is down"


def test_an_override_that_was_not_needed_is_not_recorded(places):
    run(places, "production", consent=consent(override="to be sure"))
    assert get_run("latest")[0].freeze_override == ""


def test_an_override_needs_a_reason(places):
    with pytest.raises(InvalidInput, match="needs a reason"):
        run(places, "production", consent=consent(at=CHRISTMAS, override=" "))


@pytest.mark.parametrize(
    ("freeze", "zone", "now", "until"),
    [
        ({"from": "2026-12-20", "to": "2027-01-03"}, "UTC", "2026-12-19T23:59", None),
        ({"from": "2026-12-20", "to": "2027-01-03"}, "UTC", "2026-12-20T00:00", "2027-01-04T00:00"),
        ({"from": "2026-12-20", "to": "2027-01-03"}, "UTC", "2027-01-03T23:59", "2027-01-04T00:00"),
        ({"from": "2026-12-20", "to": "2027-01-03"}, "UTC", "2027-01-04T00:00", None),
        ({"from": "2026-12-20T10:00", "to": "2026-12-20T12:00"}, "UTC", "2026-12-20T12:00", None),
        (
            {"from": "2026-12-20", "to": "2026-12-20"},
            "Europe/Berlin",
            "2026-12-19T23:30",
            "2026-12-21T00:00",
        ),
        ({"days": ["fri", "sat"]}, "UTC", "2026-11-26T23:59", None),
        ({"days": ["fri", "sat"]}, "UTC", "2026-11-27T09:00", "2026-11-29T00:00"),
        (
            {"days": ["fri"], "from": "2026-12-01", "to": "2026-12-31"},
            "UTC",
            "2026-11-27T09:00",
            None,
        ),
        (
            {"days": ["fri"], "from": "2026-12-01", "to": "2026-12-31"},
            "UTC",
            "2026-12-04T09:00",
            "2026-12-05T00:00",
        ),
    ],
)
def test_when_a_freeze_holds(freeze, zone, now, until):
    found = frozen_by(
        rule(freeze | {"reason": "r"}, zone=zone), datetime.fromisoformat(now).replace(tzinfo=UTC)
    )
    shown = found and found[1].replace(tzinfo=None).isoformat(timespec="minutes")
    assert shown == until


def test_freezes_that_follow_one_another_end_together():
    found = frozen_by(
        rule(
            {"days": ["fri"], "reason": "Friday"},
            {"from": "2026-11-28", "to": "2026-11-30", "reason": "inventory"},
        ),
        datetime(2026, 11, 27, 9, tzinfo=UTC),
    )
    assert found == ("Friday", datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("freeze: [{reason: r}]", "needs 'from' and 'to', or 'days'"),
        ("freeze: [{reason: r, from: 2026-12-20}]", "needs 'from' and 'to'"),
        ("freeze: [{reason: r, from: 2026-12-20, to: 2026-12-19}]", "ends before it begins"),
        ("freeze: [{reason: r, days: [mon, tue, wed, thu, fri, sat, sun]}]", "would never end"),
        ("freeze: [{reason: r, from: soon, to: later}]", "Invalid isoformat string"),
        ("freeze: [{days: [fri]}]", "reason"),
        ("zone: Europe/Berlim", "there is no time zone 'Europe/Berlim'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(places, text, message):
    path = places.folder / "environments" / "odd.yaml"
    path.write_text(HOSTS.format(host="odd") + f"environment:\n  name: odd\n  {text}\n")
    with pytest.raises(InvalidInput, match=message) as error:
        run(places, "odd")
    assert "odd.yaml:" in str(error.value)


def test_a_resumed_run_stays_in_its_environment_and_asks_again(places):
    variables(places, "production", "PIN=987654321\nWORD=green\n")
    text = STEPS + (
        "  - {id: b, run: 'test -e \"{work}/go\"', undo: {none: it changes nothing}}\n"
        '  - {id: c, task: trial.put, with: {path: "{work}/c-{{ params.word }}"}}\n'
    )
    failed = places.run(
        text + "on_failure: {rollback: never, steps: []}\n",
        environment="production",
        consent=consent(),
    )
    assert failed.state == "failed", failed.record.error
    (places.work / "go").touch()
    with pytest.raises(InvalidInput, match="that is not 'production'"):
        resume_run("latest", consent=consent("no"))
    with pytest.raises(Frozen):
        resume_run("latest", consent=consent(at=CHRISTMAS))
    resumed = resume_run("latest", consent=consent(at=CHRISTMAS, override="half done"))
    assert resumed.state == "succeeded"
    assert places.left() == {"prod-green", "go", "c-green"}
    record = get_run("latest")[0]
    assert (record.environment, record.freeze_override) == ("production", "half done")


def invoke(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        capture_output=True,
        text=True,
        check=False,
        **({"stdin": subprocess.DEVNULL} | options),
    )


def test_the_command_takes_e_and_ends_with_2_without_a_terminal(places):
    folder = str(places.folder)
    shown = invoke("runbook.run", "trial", "--ops", folder, "-e", "production", "--plan")
    assert "prod" in shown.stdout, shown.stderr
    done = invoke("runbook.run", "trial", "--ops", folder, "-e", "staging")
    assert done.returncode == 0, done.stderr
    refused = invoke("runbook.run", "trial", "--ops", folder, "-e", "production", "--yes", *FREE)
    assert refused.returncode == 2
    assert "there is no terminal" in refused.stderr
    hosts = invoke("inventory.show", "--ops", folder, "-e", "staging")
    assert hosts.stdout.startswith("stage"), hosts.stdout + hosts.stderr
    both = invoke("runbook.run", "trial", "-e", "staging", "--inventory", "x.yaml")
    assert both.returncode == 2
    assert places.left() == {"stage-none"}


FREE = ("--override-freeze", "the test may run at Christmas")


def test_a_person_types_the_name_at_the_terminal(places):
    here, there = pty.openpty()
    os.write(here, b"production\n")
    words = ("runbook.run", "trial", "--ops", str(places.folder), "--environment", "production")
    done = invoke(*words, *FREE, stdin=there)
    os.close(there)
    os.close(here)
    assert done.returncode == 0, done.stderr
    assert "Type its name to go on: " in done.stderr
    assert places.left() == {"prod-none"}
