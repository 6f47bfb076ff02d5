"""YAML is read with its lines, and its traps are named before they bite."""

from pathlib import Path

import pytest

from schemas.errors import InvalidInput, NotFound
from schemas.inventory import Inventory
from schemas.runbook import Runbook
from schemas.source import load_yaml, parse_yaml, validate

HEAD = "schema_version: 1\nname: demo\ntitle: Demo\n"

TRAPS = [
    ("mode: 0640", 'f.yaml:1: YAML reads 0640 as the octal number 416\n  write "0640" in quotes'),
    ("a: no", "f.yaml:1: YAML reads no as true or false"),
    ("a:\n  b: on", "f.yaml:2: YAML reads on as true or false"),
    ("on: 1", "f.yaml:1: YAML reads the key 'on' as true or false"),
    ("at: 12:30", "f.yaml:1: YAML reads 12:30 as a number in base 60"),
    ("a: 1\na: 2", "f.yaml:2: the key 'a' stands here twice"),
    ("a: [1, 2", "f.yaml:1: this is not YAML"),
    ("a: {<<: {b: 1}}", "f.yaml:1: merge keys (<<) are not supported"),
    ("? [1]\n: 2", "f.yaml:1: a key is text"),
]


@pytest.mark.parametrize(("text", "message"), TRAPS)
def test_a_trap_is_named_with_its_line(text, message):
    with pytest.raises(InvalidInput) as caught:
        parse_yaml(text, Path("f.yaml"))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ['mode: "0640"', "a: 'no'", "a: true", "a: 640", "at: '12:30'"])
def test_quoted_or_plain_values_pass(text):
    assert parse_yaml(text, Path("f.yaml")).data


FAULTS = [
    (
        "steps:\n  - id: a\n    task: x.y\n    wit: {}",
        "7: steps.0.wit: unknown key; did you mean 'with'?",
    ),
    (
        "steps:\n  - id: a\n    run: ls\n    timeout: 30",
        "7: steps.0.timeout: '30' is not a duration",
    ),
    (
        "steps:\n  - id: a\n    run: ls\n    retry: {limt: 2}",
        "7: steps.0.retry.limt: unknown key; did you mean 'limit'?",
    ),
    ("steps:\n  - id: a", "5: steps.0: needs exactly one of task, run, runbook, manual"),
    ("steps:\n  - id: A\n    run: ls", "5: steps.0.id: 'A' is not valid here"),
    ("steps:\n  - id: a\n    run: ls\n  - id: a\n    run: ls", "1: two steps have the id 'a'"),
    ("lokc: x\nsteps:\n  - id: a\n    run: ls", "4: lokc: unknown key; did you mean 'lock'?"),
    ("steps: []", "4: steps: List should have at least 1 item"),
    ("hosts: 1\nsteps:\n  - id: a\n    run: ls", "4: hosts: Input should be a valid string"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_fault_in_a_runbook_is_told_with_line_and_path(text, message):
    with pytest.raises(InvalidInput) as caught:
        validate(parse_yaml(HEAD + text, Path("r.yaml")), Runbook)
    assert str(caught.value).startswith(f"r.yaml:{message}")


def test_every_fault_is_told_at_once():
    text = HEAD + "steps:\n  - id: A\n    run: ls\n    timeout: 3"
    with pytest.raises(InvalidInput) as caught:
        validate(parse_yaml(text, Path("r.yaml")), Runbook)
    assert len(str(caught.value).splitlines()) == 2


def test_free_keys_are_ignored():
    text = HEAD + "x-owner: ops\nsteps:\n  - id: a\n    run: ls\n    x-note: 1"
    assert validate(parse_yaml(text, Path("r.yaml")), Runbook).name == "demo"


def test_an_inventory_names_only_hosts_that_it_has():
    text = "schema_version: 1\nhosts: {a: {connection: local}}\ngroups: {web: {hosts: [b]}}"
    with pytest.raises(InvalidInput, match="group 'web' names the host 'b'"):
        validate(parse_yaml(text, Path("i.yaml")), Inventory)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        load_yaml(tmp_path / "none.yaml")
