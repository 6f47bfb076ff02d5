"""A folder of one's own: found, begun, checked and run by ``invoke``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.operations import lint, new_runbook
from schemas.errors import InvalidInput

INVOKE = Path(sys.executable).with_name("invoke")
CHECKOUT = Path(__file__).parents[2]


def invoke(*words, cwd=CHECKOUT, **env):
    argv = [INVOKE, "--search-root", CHECKOUT, *words]
    return subprocess.run(
        argv, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def begun(ops, tmp_path):
    folder = tmp_path / "mine"
    done = invoke("runbook.new", "greet", "--dir", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_start_lints_clean_and_runs_twice(begun, ops):
    done = invoke("lint", "--ops", begun, "--strict")
    assert (done.returncode, done.stdout) == (0, "nothing to mend\n")
    for _ in range(2):
        done = invoke("runbook.run", "greet", "--ops", begun, "--param", "text=servus")
        assert done.returncode == 0, done.stdout + done.stderr
    assert (ops.home / "state" / "greet" / "text").read_text() == "servus\n"


def test_the_folder_comes_from_the_option_the_variable_or_where_one_stands(begun, ops):
    assert "greet" in invoke("runbook.list", "--ops", begun).stdout
    assert "greet" in invoke("runbook.list", MAHAVISHNU_OPS=str(begun)).stdout
    assert "greet" in invoke("runbook.list", cwd=begun).stdout
    assert "greet" not in invoke("runbook.list").stdout
    warned = invoke("runbook.list", MAHAVISHNU_OPS=str(begun)).stderr
    assert warned == "", "the variable is known"


def test_our_own_commands_look_at_our_own_runbooks_wherever_one_stands(begun):
    (begun / "runbooks" / "health-check.yaml").write_text("not: ours\n")
    done = invoke("health-check", "--plan", cwd=begun, MAHAVISHNU_OPS=str(begun))
    assert done.returncode == 0, done.stderr


def test_a_folder_without_runbooks_is_not_taken(tmp_path):
    done = invoke("runbook.list", "--ops", tmp_path)
    assert done.returncode == 6
    assert "has no runbooks/" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_start_never_replaces_a_file(tmp_path):
    runbook, inventory = new_runbook("again", tmp_path)
    inventory.write_text("schema_version: 1\nhosts: {here: {connection: local}}\n")
    runbook.write_text("mine")
    with pytest.raises(InvalidInput, match="already"):
        new_runbook("again", tmp_path)
    assert runbook.read_text() == "mine"
    assert len(new_runbook("another-one-with-a-long-name", tmp_path)) == 1
    assert [one.where for one in lint(tmp_path) if "another" in one.where] == []


@pytest.mark.parametrize("name", ["Big", "../up", "a b", "", "1st"])
def test_a_name_that_no_runbook_may_have_is_refused(tmp_path, name):
    with pytest.raises(InvalidInput, match="cannot be a runbook's name"):
        new_runbook(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_pages_are_checked_and_written_by_command(begun):
    done = invoke("runbook.docs", "--check", "--ops", begun)
    assert done.returncode == 2
    assert "invoke runbook.docs --write" in done.stderr
    assert invoke("runbook.docs", "--write", "--ops", begun).returncode == 0
    assert invoke("runbook.docs", "--check", "--ops", begun).returncode == 0
    assert "docs/runbooks/greet.md" in {
        path.relative_to(begun).as_posix() for path in begun.rglob("*.md")
    }
