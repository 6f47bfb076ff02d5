"""``--json``: a real run tells only the kinds and the keys that docs/events.md explains."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from orchestrator.engine.report import RunEvent
from schemas.run import JournalEntry, RunRecord

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
RUNBOOK = """
steps:
  - {id: put, task: trial.put, with: {path: "{work}/{{ host.name }}"}}
  - {id: each, loop: [a, b], run: "echo {{ item }}", undo: {none: it looks}}
  - {id: never, when: "host.name == 'h9'", run: "true", undo: {none: nothing}}
  - id: flaky
    run: "test -e {work}/tried-{{ host.name }} || { touch {work}/tried-{{ host.name }}; exit 3; }"
    retry: {limit: 2}
    undo: {none: it tries}
  - {id: ask, hosts: h1, manual: "Pull the cable.", allow_yes: true, undo: {none: by hand}}
  - {id: told, hosts: h1, run: "touch {work}/told", undo: {none: a mark}}
  - id: gate
    run: "until test -e {work}/told; do sleep 0.02; done; test {{ host.name }} != h2"
    timeout: 20s
    undo: {none: it looks}
"""


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0] if title else PAGE.split("\n## ")[0]


def keys(title):
    """Names in the first column of a section's table."""
    cells = re.findall(r"^\| (`.*?`) \|", section(title), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


RECORD, ENTRY = keys("Keys of the record"), keys("Keys of an entry")
HOSTS = ("h1", "h2")
KINDS = {
    "started": RECORD,
    "entry": ENTRY,
    "note": {"text"},
    "waiting": {"text"},
    "answered": {"text"},
    "finished": RECORD,
}


def undocumented(event):
    """What the page does not say of an event."""
    if event["event"] not in KINDS:
        return {event["event"]}
    return set(event) - {"event"} - KINDS[event["event"]]


def test_the_page_has_every_kind_and_every_key():
    names = {"RunRecord": RunRecord, "JournalEntry": JournalEntry}
    kinds = get_args(get_type_hints(RunEvent, localns=names)["kind"])
    assert keys("") == set(KINDS) == set(kinds)
    assert {one.name for one in fields(RunRecord)} == RECORD
    assert {one.name for one in fields(JournalEntry)} == ENTRY


def test_the_page_has_an_example_of_every_kind():
    examples = [json.loads(line) for line in section("Examples").splitlines() if line[:1] == "{"]
    assert {one["event"] for one in examples} == set(KINDS)
    assert len(examples) == len(KINDS)
    assert not set().union(*map(undocumented, examples))


@pytest.fixture
def told(ops):
    """Runs the runbook on two hosts; the events."""
    homes = ops.work.parent / "homes"
    hosts = "".join(f"  {name}: {{connection: local, home: {homes}/{name}}}\n" for name in HOSTS)
    (ops.folder / "inventory.yaml").write_text(f"schema_version: 1\nhosts:\n{hosts}")
    path = ops.write("trial", RUNBOOK.replace("{work}", str(ops.work)))
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "runbook.run", str(path), "--json", "--yes"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_run_tells_only_what_the_page_explains(told):
    assert {event["event"] for event in told} == set(KINDS), "the run has some of everything"
    assert told[0]["event"] == "started"
    assert told[-1]["event"] == "finished"
    assert not set().union(*map(undocumented, told))
    states = {event["state"] for event in told if event["event"] == "entry"}
    assert states >= {"started", "changed", "skipped", "retrying", "failed"}
    assert any(event.get("phase") == "undo" for event in told)


def test_a_question_is_told_and_its_end(told):
    asked = [one for one in told if one["event"] in {"waiting", "answered"}]
    assert asked == [
        {"event": "waiting", "text": "Pull the cable."},
        {"event": "answered", "text": "Pull the cable."},
    ]
