"""``invoke lint``: every fault at once, with its line; this project's own files have none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.operations import lint
from schemas.errors import NotFound

BROKEN = Path(__file__).parent / "broken"
EXPECT = re.compile(r"# expect: (\d+): (.+)")
INVOKE = Path(sys.executable).with_name("invoke")
CHECKOUT = Path(__file__).parents[2]


def told(ops):
    return {(Path(one.where.rpartition(":")[0]).name, one.code) for one in lint(ops.folder)}


@pytest.fixture
def linted(ops):
    ops.write(
        "fine", "description: Looks.\nsteps:\n  - {id: a, run: 'true', undo: {none: looks}}\n"
    )
    assert lint(ops.folder) == []
    return ops


def test_our_own_files_have_no_fault():
    assert [str(one) for one in lint()] == []


def test_each_broken_runbook_is_told_of_at_its_line_in_one_go(ops):
    shutil.copytree(BROKEN, ops.folder / "runbooks", dirs_exist_ok=True)
    found = {(one.where, one.message) for one in lint(ops.folder)}
    missing = []
    for file in sorted(BROKEN.glob("*.yaml")):
        for line, text in EXPECT.findall(file.read_text()):
            place = f"{file.name}:{line}"
            if not any(where.endswith(place) and text in message for where, message in found):
                missing.append(f"{place}: {text}")
    assert missing == []


def test_a_step_that_nothing_takes_back_is_an_error(linted):
    path = linted.write("fine", "description: x\nsteps:\n  - {id: a, run: touch x}\n")
    (found,) = lint(linted.folder)
    assert (found.where, found.code) == (f"{path}:6", "unpaired-step")
    linted.write("fine", "description: x\nsteps:\n  - {id: a, run: touch x, undo: {run: rm x}}\n")
    assert lint(linted.folder) == []


def test_a_task_says_itself_whether_its_step_needs_an_undo(linted):
    steps = {
        "looks": "task: http.check, with: {url: 'http://127.0.0.1:1/'}",
        "undoes": "task: files.link, with: {path: /tmp/a, target: /b}",
        "stays": "task: files.remove_empty, with: {paths: [/tmp/a]}",
        "plain": "task: trial.plain, with: {path: /tmp/a}",
    }
    lines = [f"  - {{id: {name}, {text}}}\n" for name, text in steps.items()]
    linted.write("fine", "description: x\nsteps:\n" + "".join(lines))
    found = [(one.where.rpartition(":")[2], one.code) for one in lint(linted.folder)]
    assert found == [("8", "unpaired-step"), ("9", "unpaired-step")]


def test_what_a_template_needs_is_known_before_the_run(linted):
    templates = linted.folder / "templates"
    templates.mkdir()
    linted.write(
        "fine",
        "description: x\nparams: {colour: {default: red, help: x}}\nsteps:\n"
        "  - {id: a, task: config.render, with: {template: a.j2, dest: /tmp/a}}\n"
        "  - {id: b, task: config.render, with: {template: b.j2, dest: /tmp/b}}\n",
    )
    (templates / "a.j2").write_text("one\ntwo {{ params.color }}\n")
    (templates / "c.j2").write_text("{% if %}\n")
    found = {Path(one.where).name: one.message for one in lint(linted.folder)}
    assert "there is no 'color'; did you mean 'colour'?" in found["a.j2:2"]
    assert found["fine.yaml:8"] == "there is no template 'b.j2'"
    assert "not a valid template" in found["c.j2:1"]


def test_alerts_and_inventory_are_looked_at(linted):
    (linted.folder / "alerts").mkdir()
    (linted.folder / "alerts" / "mine.rules.yml").write_text(
        "groups:\n  - name: mine\n    rules:\n"
        "      - {alert: Answered, expr: up == 0, annotations: {summary: x}}\n"
        "      - {alert: Alone, expr: up == 0, annotations: {summary: x}}\n"
        "      - alert: Wrong\n        expr: up == 0\n"
        "        annotations: {summary: x, runbook_url: runbooks/gone.yaml}\n"
    )
    linted.write(
        "fine",
        "description: x\nalerts: [Answered]\nsteps:\n  - {id: a, run: x, undo: {none: looks}}\n",
    )
    (linted.folder / "inventory.yaml").write_text(
        "schema_version: 1\nhosts:\n  a: {connection: lokal}\n"
    )
    assert told(linted) == {
        ("mine.rules.yml", "unanswered-alert"),
        ("mine.rules.yml", "no-runbook"),
        ("inventory.yaml", "inventory"),
    }


def test_environments_are_looked_at(linted):
    folder = linted.folder / "environments"
    folder.mkdir()
    hosts = "schema_version: 1\nhosts: {a: {connection: local}}\n"
    (folder / "fine.yaml").write_text(hosts + "environment: {name: fine}\n")
    assert lint(linted.folder) == []
    (folder / "odd.yaml").write_text(hosts + "environment: {name: fine}\n")
    (folder / "broken.yaml").write_text(hosts + "environment: {name: broken, freeze: [{}]}\n")
    assert told(linted) == {("odd.yaml", "inventory"), ("broken.yaml", "inventory")}


def test_a_file_of_tasks_that_cannot_be_imported_is_told_of(linted):
    (linted.folder / "tasks" / "ill.py").write_text("raise RuntimeError('ill')\n")
    messages = [one.message for one in lint(linted.folder) if one.code == "tasks"]
    assert messages == ["cannot be imported: RuntimeError: ill"]


def test_a_warning_fails_only_with_strict(linted):
    linted.write("fine", "steps:\n  - {id: a, run: x, undo: {none: looks}}\n")
    words = [INVOKE, "lint", "--ops", linted.folder]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "fine.yaml:2: warning: there is no description [missing-help]" in done.stdout
    words += ["--strict", "--json"]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert json.loads(done.stdout)[0]["code"] == "missing-help"


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(NotFound, match="no such folder"):
        lint(tmp_path / "gone")


def test_every_code_is_explained():
    page = (CHECKOUT / "docs" / "lint.md").read_text()
    sources = [path.read_text() for path in (CHECKOUT / "orchestrator" / "lint").glob("*.py")]
    codes = {
        code
        for text in sources
        for code in re.findall(
            r'findings_of\(error, "([a-z-]+)"\)|^ +"([a-z]+-[a-z]+)",$', text, re.MULTILINE
        )
        for code in code
        if code
    }
    assert {"runbook", "plan", "unpaired-step", "no-runbook"} <= codes
    assert [code for code in sorted(codes) if f"| `{code}` |" not in page] == []
