"""A plan that was shown is the one that is run, or what differs is said and nothing is run."""

from __future__ import annotations

import pytest

from orchestrator.operations import plan_runbook, run_runbook
from schemas.errors import InvalidInput, NotFound

TEXT = """
params: {word: {default: one}, pin: {secret: true, default: very-secret-pin}}
steps:
  - {id: file, task: config.render, with: {template: a.j2, dest: "{work}/a"}}
"""


@pytest.fixture
def shown(ops):
    (ops.folder / "templates").mkdir()
    (ops.folder / "templates" / "a.j2").write_text("{{ params.word }}\n")
    ops.write("trial", TEXT.replace("{work}", str(ops.work)))
    return ops, plan_runbook("trial", {}, keep=True, ops=ops.folder).hash


def test_the_same_plan_is_run(shown):
    ops, found = shown
    assert plan_runbook("trial", {}, ops=ops.folder).hash == found
    assert run_runbook("trial", {}, ops=ops.folder, apply=found[:8]).state == "succeeded"
    assert (ops.work / "a").read_text() == "one\n"


@pytest.mark.parametrize("change", ["template", "runbook", "parameter", "inventory"])
def test_another_plan_is_refused_with_what_differs(shown, change):
    ops, found = shown
    params, told = {}, ""
    if change == "template":
        (ops.folder / "templates" / "a.j2").write_text("else\n")
        told = "templates/a.j2"
    elif change == "runbook":
        ops.write("trial", TEXT.replace("{work}/a", "{work}/b").replace("{work}", str(ops.work)))
        told = f"{ops.work}/b"
    elif change == "parameter":
        params, told = {"word": "two"}, '+ "word": "two"'
    else:
        (ops.folder / "inventory.yaml").write_text(
            "schema_version: 1\nhosts: {here: {connection: local, vars: {a: 1}}}\n"
        )
        told = '+ "name": "here"'
    with pytest.raises(InvalidInput) as refused:
        run_runbook("trial", params, ops=ops.folder, apply=found)
    assert refused.value.exit_code == 2
    assert told in refused.value.message
    assert not list(ops.work.iterdir())


def test_a_hash_that_was_never_shown_is_not_found(shown):
    ops, _ = shown
    with pytest.raises(NotFound, match="no plan 0123456789 was shown here"):
        run_runbook("trial", {}, ops=ops.folder, apply="0123456789")
    with pytest.raises(InvalidInput, match="8 characters"):
        run_runbook("trial", {}, ops=ops.folder, apply="0123")
    with pytest.raises(InvalidInput, match="8 characters"):
        run_runbook("trial", {}, ops=ops.folder, apply="")  # a script's variable that is unset


def test_kept_plans_are_closed_and_hold_no_secret(shown):
    ops, found = shown
    kept = ops.home / "state" / "plans" / f"{found}.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "very-secret-pin" not in kept.read_text()
