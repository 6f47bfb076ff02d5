"""`session-buddy hook`: what it prints, and what it says of a shell that it does not know."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from deployments import COMMAND

from tracker.client.hooks import snippet


def run(*words):
    return subprocess.run([COMMAND, "hook", *words], capture_output=True, text=True, check=False)


def test_it_prints_lines_that_the_shell_can_read(name):
    printed = run(name).stdout
    assert "@python@" not in printed
    subprocess.run([name, "-n"], input=printed, text=True, check=True)


def test_a_shell_that_it_does_not_know():
    result = run("fish")
    assert result.returncode == 2
    assert "'bash'" in result.stderr
    assert "'zsh'" in result.stderr


def test_the_help_has_an_example():
    assert 'eval "$(session-buddy hook bash 2>/dev/null)"' in run("bash", "--help").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_lines_are_in_files_beside_the_code(shell):
    assert Path(snippet.__file__).with_name(f"hook.{shell}").is_file()
