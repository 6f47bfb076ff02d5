"""A plan is a pure function of runbook, hosts, parameters and settings."""

from __future__ import annotations

import json

import pytest

from orchestrator.console import print_plan
from orchestrator.engine.batches import batches
from orchestrator.engine.params import read_params
from schemas.errors import InvalidInput
from schemas.runbook import Parameter

DEPLOY = """
params:
  keep: {type: integer, default: 5}
  password: {type: string, secret: true, default: very-secret-word}
steps:
  - id: write
    task: trial.put
    with: {path: "{work}/{{ params.keep }}", text: "{{ params.password }}"}
  - id: look
    run: cat {{ steps.write.outputs.path }}
    when: steps.write.changed
  - id: each
    loop: ["{{ params.keep }}", 7]
    task: trial.counted
    with: {number: "{{ item }}"}
  - id: never
    when: params.keep > 100
    run: "false"
"""


def test_the_same_input_gives_the_same_plan_and_hash(ops):
    assert ops.plan(DEPLOY).to_dict() == ops.plan(DEPLOY).to_dict()


def test_the_hash_says_when_anything_is_different(ops, monkeypatch):
    first = ops.plan(DEPLOY).hash
    assert ops.plan(DEPLOY, keep="6").hash != first
    assert ops.plan(DEPLOY, password="another-secret").hash != first
    assert ops.plan(DEPLOY.replace("> 100", "> 101")).hash == first, "nothing is done otherwise"
    monkeypatch.setenv("MAHAVISHNU_PORT", "3999")
    assert ops.plan(DEPLOY).hash != first, "a template could show the port"


def test_planning_touches_nothing(ops):
    before = sorted(ops.folder.parent.rglob("*"))
    ops.plan(DEPLOY)
    after = [path for path in ops.folder.parent.rglob("*") if "__pycache__" not in path.parts]
    assert sorted({*after} - {*before}) == [ops.folder / "runbooks" / "trial.yaml"]


def test_what_only_the_run_can_know_is_shown_as_its_template(ops):
    rows = {row.id: row for row in ops.plan(DEPLOY).rows() if row.id != "each"}
    assert rows["look"].action == "cat {{ steps.write.outputs.path }}"
    assert rows["look"].note == "if steps.write.changed"
    assert rows["never"].note == "skipped: its condition is false"


def test_a_whole_expression_keeps_its_type_and_a_loop_is_unrolled(ops):
    steps = ops.plan(DEPLOY).to_dict()["hosts"][0]["steps"]
    items = next(step for step in steps if step["id"] == "each")["items"]
    assert [item["with"]["number"] for item in items] == [5, 7]


def test_a_plan_shows_no_secret(ops):
    plan = ops.plan(DEPLOY)
    shown = json.dumps(plan.to_dict()) + repr(plan.rows())
    assert "very-secret-word" not in shown
    assert plan.to_dict()["params"]["password"] == "********"


def test_a_nested_runbook_is_planned_with_its_own_parameters(ops):
    ops.write(
        "inner", 'params: {who: {required: true}}\nsteps: [{id: hi, run: "echo {{ params.who }}"}]'
    )
    rows = ops.plan("steps: [{id: outer, runbook: inner, with: {who: world}}]").rows()
    assert [(row.id, row.action) for row in rows] == [
        ("outer", "inner who=world"),
        ("hi", "echo world"),
    ]


@pytest.mark.parametrize(
    ("serial", "expected"),
    [
        ([], ["abcde"]),
        ([1], ["a", "b", "c", "d", "e"]),
        ([1, 2], ["a", "bc", "de"]),
        ([1, "50%"], ["a", "bc", "de"]),
        (["100%"], ["abcde"]),
        (["1%"], ["a", "b", "c", "d", "e"]),
    ],
)
def test_batches(serial, expected):
    assert ["".join(batch) for batch in batches("abcde", serial)] == expected


@pytest.mark.parametrize(
    ("declared", "given", "environ", "expected"),
    [
        ({"default": "x"}, None, {}, "x"),
        ({"default": "x", "env": "V"}, None, {"V": "y"}, "y"),
        ({"default": "x", "env": "V"}, "z", {"V": "y"}, "z"),
        ({"type": "integer", "default": 5}, "7", {}, 7),
        ({"type": "number", "default": 5}, "7.5", {}, 7.5),
        ({"type": "boolean", "default": False}, "yes", {}, True),
        ({"type": "list", "default": []}, "a, b", {}, ["a", "b"]),
        ({}, None, {}, None),
    ],
)
def test_parameters_come_from_the_command_line_then_the_environment_then_the_default(
    declared, given, environ, expected
):
    values = read_params(
        {"p": Parameter(**declared)}, {} if given is None else {"p": given}, environ
    )
    assert values == {"p": expected}


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        ({"keep": Parameter()}, {"kep": "1"}, "no parameter 'kep'; did you mean 'keep'?"),
        ({"keep": Parameter(required=True)}, {}, "'keep' is required"),
        ({"keep": Parameter(type="integer")}, {"keep": "x"}, "'x' is not of the type integer"),
        ({"keep": Parameter(type="boolean")}, {"keep": "perhaps"}, "is not of the type boolean"),
        ({"keep": Parameter(choices=["a"])}, {"keep": "b"}, "'b' is not allowed"),
        ({"pin": Parameter(type="integer", secret=True)}, {"pin": "12a4"}, "the value is not of"),
    ],
)
def test_a_wrong_parameter_is_refused(declared, given, message):
    with pytest.raises(InvalidInput, match="parameter") as refused:
        read_params(declared, given, {})
    assert message in str(refused.value)
    assert "12a4" not in str(refused.value)


def test_hosts_with_the_same_plan_are_shown_once(ops, capsys):
    kinds = {"one": "a", "two": "a", "three": "a", "other": "b"}
    lines = [
        f"  {name}: {{connection: local, vars: {{kind: {kind}}}}}" for name, kind in kinds.items()
    ]
    (ops.folder / "inventory.yaml").write_text("\n".join(["schema_version: 1", "hosts:", *lines]))
    print_plan(ops.plan("hosts: all\nsteps:\n- {id: say, run: 'echo {{ vars.kind }}'}\n"))
    shown = capsys.readouterr().out
    assert "On 3 hosts: one, two, three\n" in shown
    assert "On other\n" in shown
    assert shown.count("echo ") == 2
