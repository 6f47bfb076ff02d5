"""Which hosts a pattern names, what they know, and in which order a run visits them."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_ops import states

from orchestrator.engine.checked import Checker
from orchestrator.engine.inventory import Hosts
from orchestrator.operations import plan_runbook
from schemas.errors import InvalidInput
from schemas.places import Places
from schemas.settings import Settings

INVENTORY = """
schema_version: 1
vars: {colour: grey, size: small}
hosts:
  web-1: {connection: local, vars: {size: large}}
  web-2: {connection: local}
  db: {connection: local, settings: {session_buddy.port: 9001}}
groups:
  web: {hosts: [web-1, web-2], vars: {colour: blue}}
  back: {hosts: [db]}
  every: {children: [web, back], vars: {colour: red, shape: round}}
"""


@pytest.fixture
def inventory(ops):
    path = ops.folder / "inventory.yaml"
    path.write_text(INVENTORY)
    return path


@pytest.fixture
def hosts(inventory):
    return Hosts.load(inventory, Checker())


@pytest.mark.parametrize(
    ("pattern", "limit", "expected"),
    [
        ("all", None, "web-1 web-2 db"),
        ("web", None, "web-1 web-2"),
        ("every", None, "web-1 web-2 db"),
        ("db,web-1", None, "web-1 db"),
        ("web-*", None, "web-1 web-2"),
        ("all:!web-2", None, "web-1 db"),
        ("!web", None, "db"),
        ("all", "web:!web-1", "web-2"),
    ],
)
def test_patterns(hosts, pattern, limit, expected):
    assert hosts.select(pattern, limit) == expected.split()


@pytest.mark.parametrize(
    ("pattern", "limit", "message"),
    [
        ("wbe", None, "did you mean web?"),
        ("web", "db", "matches web limited to db"),
        ("x-*", None, "matches x-*"),
    ],
)
def test_a_pattern_that_names_nothing_is_refused(hosts, pattern, limit, message):
    with pytest.raises(InvalidInput) as refused:
        hosts.select(pattern, limit)
    assert message in str(refused.value)


def test_variables_narrow_down_from_all_over_groups_to_the_host(hosts):
    assert hosts.variables("web-1") == {"colour": "blue", "size": "large", "shape": "round"}
    assert hosts.variables("db") == {"colour": "red", "size": "small", "shape": "round"}


def test_groups_in_a_circle_are_refused(ops, inventory):
    inventory.write_text(INVENTORY.replace("back: {hosts: [db]}", "back: {children: [every]}"))
    with pytest.raises(InvalidInput, match="groups go in a circle"):
        Hosts.load(inventory, Checker()).select("every")


def test_settings_of_the_inventory_go_over_files_and_under_the_environment(hosts):
    places = Places(Path("/m"), Path("/b"))
    plain = Settings.load(places, {})
    assert hosts.settings("db", plain)["session_buddy.port"] == 9001
    assert hosts.settings("web-1", plain)["session_buddy.port"] == 8678
    told = Settings.load(places, {"SESSION_BUDDY_PORT": "9005"})
    assert hosts.settings("db", told)["session_buddy.port"] == 9005


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("session_buddy.prt: 1", "there is no setting 'session_buddy.prt'"),
        ("session_buddy.port: none", "'none' is not a count"),
    ],
)
def test_a_wrong_setting_in_the_inventory_has_its_line(ops, inventory, setting, message):
    inventory.write_text(INVENTORY.replace("session_buddy.port: 9001", setting))
    hosts = Hosts.load(inventory, Checker())
    with pytest.raises(InvalidInput) as refused:
        hosts.settings("db", Settings.load(Places(Path("/m"), Path("/b")), {}))
    assert message in str(refused.value)
    assert f"{inventory}:7" in str(refused.value)


VISIT = """
hosts: all
steps:
  - {id: put, task: trial.put, with: {path: "{work}/{{ host.name }}"}}
  - {id: once, run_once: true, run: "echo x >> {work}/once", undo: {none: a log}}
  - {id: web, hosts: web, run: "echo {{ vars.colour }} >> {work}/web", undo: {none: a log}}
  - {id: breaks, when: host.name == 'web-2', run: "exit 1"}
"""


def test_a_run_in_batches_of_one_visits_host_by_host(ops, inventory):
    result = ops.run("serial: [1]" + VISIT.replace("exit 1", "true"))
    assert result.state == "succeeded"
    assert [
        entry.host for entry in result.entries if (entry.step, entry.state) == ("put", "changed")
    ] == [
        "web-1",
        "web-2",
        "db",
    ]
    assert (ops.work / "once").read_text() == "x\n"
    assert (ops.work / "web").read_text() == "blue\nblue\n"


def test_a_failure_stops_before_the_next_host_and_undoes_all_of_them(ops, inventory):
    result = ops.run("serial: [1]" + VISIT)
    assert result.state == "rolled_back"
    assert result.record.error == "breaks on web-2: exit 1 ended with 1"
    undone = [one.host for one in result.entries if one.phase == "undo" and one.state == "changed"]
    assert sorted(undone) == ["web-1", "web-2"]
    assert ops.left() == {"once", "web"}, "the third host was never visited"


def test_where_some_may_fail_only_those_are_undone(ops, inventory):
    result = ops.run("max_fail_percentage: 40" + VISIT)
    assert (result.state, result.exit_code) == ("failed", 1)
    assert ops.left() == {"once", "web", "web-1", "db"}
    assert states(result, "undo") == {"put": "changed"}


def test_limit_keeps_to_some_hosts(ops, inventory):
    result = ops.run(VISIT, limit="db")
    assert result.record.hosts == ["db"]
    assert ops.left() == {"db", "once"}


def test_an_inventory_may_be_named(ops, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(
        "schema_version: 1\nhosts: {here: {connection: local, vars: {colour: pink}}}\n"
    )
    ops.write("paint", 'steps: [{id: paint, run: "echo {{ vars.colour }}"}]')
    plan = plan_runbook("paint", {}, ops=ops.folder, inventory=other)
    assert [row.action for row in plan.rows()] == ["echo pink"]


def test_a_host_has_its_own_places(ops, inventory, tmp_path):
    inventory.write_text(
        "schema_version: 1\nhosts:\n"
        f"  a: {{connection: local, home: {tmp_path}/a}}\n  b: {{connection: local}}\n"
    )
    text = 'lock: trial\nsteps: [{id: where, run: "echo {{ paths.etc }}"}]'
    rows = ops.plan(text).rows()
    assert [row.action for row in rows] == [f"echo {tmp_path}/a/etc", f"echo {ops.home}/etc"]
    assert ops.run(text).state == "succeeded"
    assert (tmp_path / "a" / "state" / "locks").is_dir(), "the lock is kept on the host"


def test_a_host_is_shown_with_the_line_of_each_value(inventory):
    from orchestrator.operations import show_inventory

    web, db = show_inventory("web-1,db", inventory=inventory)
    assert web.groups == ["every", "web"]
    assert web.connection == {"connection": "local"}
    shown = {key: (one.value, one.source) for key, one in web.variables.items()}
    assert shown == {
        "colour": ("blue", f"{inventory}:9"),
        "size": ("large", f"{inventory}:5"),
        "shape": ("round", f"{inventory}:11"),
    }
    assert db.as_dict()["settings"] == {
        "session_buddy.port": {"value": 9001, "where": f"{inventory}:7"}
    }
    assert f"    size = 'large'  ({inventory}:5)" in web.lines()


def test_a_remote_host_is_shown_as_it_is_reached(inventory):
    from orchestrator.operations import show_inventory

    inventory.write_text(
        "schema_version: 1\nhosts: {far: {user: ops, jump: gate, known_hosts: accept-new}}\n"
    )
    (far,) = show_inventory(inventory=inventory)
    assert far.connection == {
        "connection": "ssh",
        "address": "far",
        "user": "ops",
        "jump": "gate",
        "known_hosts": "accept-new",
        "connect_timeout": "10s",
    }
