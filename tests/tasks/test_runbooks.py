"""The runbooks that come with the project: valid, planned, and each change paired with an undo."""

import pytest

from orchestrator import operations
from orchestrator.tasks import catalogue
from schemas.places import ops_folder
from schemas.runbook import Runbook
from schemas.source import load_yaml, validate

INVENTORY = """
schema_version: 1
hosts: {here: {connection: local}}
groups: {tracker: {hosts: [here]}, shells: {hosts: [here]}}
"""
NAMES = sorted(path.stem for path in (ops_folder() / "runbooks").glob("*.yaml"))


def load(name):
    return validate(load_yaml(ops_folder() / "runbooks" / f"{name}.yaml"), Runbook)


@pytest.mark.parametrize("name", NAMES)
def test_can_be_planned_and_says_what_it_is_for(name, tmp_path):
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY)
    runbook = load(name)
    given = {key: "given" for key, parameter in runbook.params.items() if parameter.required}
    assert operations.plan_runbook(name, given, inventory=inventory).hash
    assert runbook.description
    assert runbook.guide
    assert all(parameter.help for parameter in runbook.params.values())
    assert all(step.name for step in runbook.steps)


def test_the_first_ones_are_there():
    assert {"deploy", "rollback", "verify", "backup", "health-check"} <= set(NAMES)


def test_a_deploy_restarts_only_after_everything_was_put_back():
    """Inverses are replayed newest first, so that a restart among them would come too early."""
    runbook = load("deploy")
    servers = [step for step in runbook.steps if step.task == "service.ensure"]
    assert len(servers) == 2
    assert all(step.undo.none for step in servers)
    assert [check.task for check in runbook.on_failure.steps] == ["service.ensure"] * 2


def test_a_deploy_touches_nothing_that_runs_before_it_has_a_backup():
    ids = [step.id for step in load("deploy").steps]
    assert ids.index("release") < ids.index("backup") < ids.index("environment")
    assert ids.index("backup") < ids.index("activate") < ids.index("tracker") < ids.index("smoke")
    assert ids.index("smoke") < ids.index("confirm") < ids.index("prune")


@pytest.mark.parametrize("name", catalogue.names())
def test_every_task_says_what_it_does(name):
    doc = catalogue.task_named(name).__doc__
    assert doc
    assert doc.strip().splitlines()[0].endswith(".")
