"""A file that was found valid is read back without pydantic, and means the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.engine.checked import Checker
from orchestrator.operations import plan_runbook
from schemas.errors import SessionopsError
from schemas.places import ops_folder

RICH = """
params: {keep: {type: integer, default: 5, choices: [5, 6]}}
serial: [1, "50%"]
preconditions: [{task: trial.put, with: {path: "{work}/a"}, when: params.keep > 1}]
steps:
  - id: one
    name: The first
    task: trial.put
    with: {path: "{work}/a"}
    retry: {limit: 2, delay: 1s, backoff: 2, on_exit_codes: [1]}
    verify: {run: "true", retry: {limit: 3}}
    undo: {task: trial.remove, with: {path: "{work}/a"}}
    guide: "2.4"
    approval: {prompt: Sure?}
  - {id: two, loop: [{a: 1}, {a: 2}], run: "echo {{ item.a }}", undo: {none: it only prints}}
on_failure: {rollback: never, steps: [{run: "true"}]}
"""


def _plan(checker, name, folder):
    from orchestrator.engine.connect import Connections
    from orchestrator.engine.inventory import Hosts
    from orchestrator.engine.load import load_runbook
    from orchestrator.engine.params import read_params
    from orchestrator.engine.plan import make_plan
    from schemas.places import Places
    from schemas.settings import Settings

    places = Places.of_this_user()
    loaded = load_runbook(name, folder, checker)
    hosts = Hosts.load(ops_folder() / "inventory.yaml", checker)
    targets = Connections(hosts, places, Settings.load(places)).targets(hosts.select("all"))
    values = {
        key: "x" if one.required else one.default for key, one in loaded.runbook.params.items()
    }
    return make_plan(loaded, targets, read_params(loaded.runbook.params, values, {}))


def test_a_remembered_runbook_is_planned_like_the_file(ops, tmp_path):
    ops.write("trial", RICH.replace("{work}", str(ops.work)))
    first = _plan(Checker(tmp_path / "cache", remember=True), "trial", ops.folder)
    again = _plan(Checker(tmp_path / "cache"), "trial", ops.folder)
    assert type(first.loaded.runbook).__name__ == "Runbook"
    assert type(again.loaded.runbook).__name__ == "SimpleNamespace"
    assert again.to_dict() == first.to_dict()


def test_only_a_run_remembers(ops):
    text = "steps: [{id: one, run: 'true'}]"
    ops.plan(text)
    ops.run(text, check=True)
    assert not (ops.home / "state").exists()
    ops.run(text)
    assert len(list((ops.home / "state" / "cache").glob("trial-*.json"))) == 1


def test_a_change_of_the_file_is_noticed(ops):
    ops.run("steps: [{id: one, run: 'true'}]")
    assert [row.action for row in ops.plan("steps: [{id: one, run: 'false'}]").rows()] == ["false"]
    with pytest.raises(SessionopsError):
        ops.plan("steps: [{id: one, rum: 'true'}]")


def test_a_damaged_memory_is_passed_over(ops):
    text = "steps: [{id: one, run: 'true'}]"
    ops.run(text)
    for file in (ops.home / "state" / "cache").iterdir():
        file.write_text("{")
    assert ops.run(text).state == "succeeded"


def test_the_second_run_does_without_pydantic(ops):
    ops.run("steps: [{id: one, task: trial.put, with: {path: '{work}/a'}}]")
    program = (
        "import sys; from pathlib import Path\n"
        "from orchestrator.operations import run_runbook\n"
        f"assert run_runbook('trial', {{}}, ops=Path({str(ops.folder)!r})).exit_code == 0\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "sys.exit(bool(loaded & {'pydantic', 'duckdb', 'rich', 'psutil', 'fabric'}))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    "file", sorted((ops_folder() / "runbooks").rglob("*.yaml")), ids=lambda path: Path(path).stem
)
def test_each_runbook_of_the_project_can_be_planned(ops, file):
    inventory = ops.folder / "inventory.yaml"
    inventory.write_text(
        "schema_version: 1\nhosts: {here: {connection: local}}\n"
        "groups: {tracker: {hosts: [here]}, shells: {hosts: [here]}}\n"
    )
    plan_runbook(str(file), _required(file), inventory=inventory)


def _required(file):
    import yaml

    declared = yaml.safe_load(file.read_text()).get("params") or {}
    return {name: "x" for name, one in declared.items() if one.get("required")}
