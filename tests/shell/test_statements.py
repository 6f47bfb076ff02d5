"""The text that a statement is recorded with."""

from __future__ import annotations

import ast

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from orchestrator.shell.statements import (
    as_typed,
    calling_exit,
    is_name_of_exit,
    runs_program,
)


def statements(typed: str) -> tuple[list[ast.stmt], str]:
    cell = TransformerManager().transform_cell(typed)
    return ast.parse(cell).body, cell


def texts(typed: str) -> list[str]:
    nodes, cell = statements(typed)
    return [as_typed(node, cell) for node in nodes]


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        ("ps(); top(); sync()", ["ps()", "top()", "sync()"]),
        ("ps()  # what runs", ["ps()"]),
        ("x = 1\ny = x +\\\n  1", ["x = 1", "y = x +\\\n  1"]),
        ("print('a; b')", ["print('a; b')"]),
        ("ä = 'ö'; ps()", ["ä = 'ö'", "ps()"]),
        ("%repos", ["%repos"]),
        ("%time sum(range(3))", ["%time sum(range(3))"]),
        ("branch = %sessions 5", ["branch = %sessions 5"]),
        ("!uptime", ["!uptime"]),
        ("files = !ls -l", ["files = !ls -l"]),
        ("ps?", ["ps?"]),
        ("ps??", ["ps??"]),
        ("%%time\nps()", ["%%time\nps()"]),
        ("for each in (1, 2):\n    %health", ["for each in (1, 2):\n    %health"]),
        ("@cache\ndef f():\n    return 1", ["@cache\ndef f():\n    return 1"]),
        ("", []),
        ("# only a comment", []),
    ],
)
def test_each_top_level_statement_is_recorded_as_it_was_typed(typed, recorded):
    assert texts(typed) == recorded


@pytest.mark.parametrize("typed", ["exit", "quit", "exit()", "exit(3)"])
def test_the_exit_is_known_in_each_of_its_forms(typed):
    [node] = ast.parse(typed).body
    assert is_name_of_exit(node)


@pytest.mark.parametrize("typed", ["exit_code", "x = exit", "ps()", "sys.exit()"])
def test_other_statements_are_not_taken_for_the_exit(typed):
    [node] = ast.parse(typed).body
    assert not is_name_of_exit(node)


def test_exit_without_parentheses_is_called():
    [node] = ast.parse("exit").body
    assert ast.unparse(calling_exit(node)) == "exit()"


@pytest.mark.parametrize(("typed", "expected"), [("!false", True), ("ps()", False)])
def test_a_shell_command_is_known(typed, expected):
    [node], _ = statements(typed)
    assert runs_program(node) is expected
