"""Damaged files cost what they held, never the command that came across them."""

from __future__ import annotations

import json

import pytest

from orchestrator.engine.checked import Checker
from orchestrator.engine.history import list_records, read_run
from schemas.errors import InvalidInput
from schemas.settings import read_env_file
from schemas.source import load_yaml

STEPS = "steps: [{id: one, run: 'true', undo: {none: nothing}}]"


@pytest.mark.parametrize(
    "content",
    [b"{}", b"\xff\x00", b"[]", b'{"state": 1}', b"[" * 100_000, b"null"],
    ids=["empty", "binary", "list", "types", "deep", "null"],
)
def test_a_damaged_record_is_a_line_of_the_list(ops, content):
    good = ops.run(STEPS).record.run_id
    bad = ops.runs / "20200101-000000-trial-0000"
    bad.mkdir()
    (bad / "run.json").write_bytes(content)
    assert [(one.run_id, one.state) for one in list_records(ops.runs)] == [
        (good, "succeeded"),
        (bad.name, "unreadable"),
    ]
    with pytest.raises(InvalidInput, match=r"its run\.json cannot be read"):
        read_run(ops.runs, bad.name)


def test_a_damaged_line_of_a_journal_is_left_out(ops):
    folder = ops.runs / ops.run(STEPS).record.run_id
    _, before = read_run(ops.runs, "latest")
    with (folder / "journal.jsonl").open("ab") as journal:
        journal.write(b'\xff\xfe\n[]\n{"at": 5}\n{"half')
    assert read_run(ops.runs, "latest")[1] == before


def test_an_interrupted_run_is_counted_from_its_journal(ops):
    folder = ops.runs / ops.run(STEPS).record.run_id
    data = json.loads((folder / "run.json").read_text())
    data |= {"state": "running", "changed": 0, "duration_seconds": None, "process_started": 1.0}
    (folder / "run.json").write_text(json.dumps(data))
    record, _ = read_run(ops.runs, "latest")
    assert (record.state, record.changed) == ("interrupted", 1)
    assert record.duration_seconds is not None


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"5", b'{"key": 1}', b"[" * 100_000])
def test_a_damaged_memory_of_a_file_is_no_memory(ops, content):
    path = ops.write("trial", STEPS)
    checker = Checker(ops.home / "cache", remember=True)
    checker.read(path, "Runbook")
    (place,) = (ops.home / "cache").iterdir()
    stored = place.read_text()
    for damaged in (content, stored.replace('"steps"', '"stops"').encode()):
        place.write_bytes(damaged)
        assert checker.read(path, "Runbook")[0].steps[0].id == "one"


def test_an_environment_file_that_is_no_text_is_named(tmp_path):
    file = tmp_path / "env"
    file.write_bytes(b"A=\xff\n")
    with pytest.raises(InvalidInput, match=f"{file}: cannot be read"):
        read_env_file(file)


def nine_lists_of_nine():
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: &x\n  c: *x\n", "yaml:3: an alias .* stands inside what it names"),
        (nine_lists_of_nine(), "stand for more than 10000 values"),
        ("a: 2026-99-99\n", "yaml:1: 2026-99-99 cannot be read"),
    ],
)
def test_yaml_that_would_never_end_is_refused(tmp_path, text, message):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=message):
        load_yaml(file)


def test_an_alias_that_is_used_twice_is_fine(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("a: &x {b: 1}\nc: [*x, *x]\n")
    assert load_yaml(file).data == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}
