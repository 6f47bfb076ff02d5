"""``--check --diff`` changes nothing anywhere: what there was before is there after, untouched.

Only the check's own record, a folder below ``runs``, is new on the control machine.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

RUNBOOK = """
lock: trial
preconditions: [{run: "test -d WORK"}]
steps:
  - {id: put, task: trial.put, with: {path: "WORK/target/{{ host.name }}/new"}}
  - {id: over, task: trial.put, with: {path: "WORK/target/old", text: new}}
  - {id: copy, task: files.copy, with: {source: WORK/source, dest: "WORK/target/h1/copied"}}
  - {id: line, task: files.line, with: {path: WORK/target/old, line: one more}}
  - {id: folder, task: files.folders, with: {paths: ["WORK/target/{{ host.name }}/a/b"]}}
  - {id: mode, task: files.mode, with: {path: WORK/target/old, mode: "0600"}}
  - {id: link, task: files.link, with: {path: WORK/target/link, target: WORK/target/old}}
  - {id: gone, task: files.remove, with: {path: WORK/target/h1/kept}}
  - {id: command, run: "touch WORK/target/command", undo: {none: the trial}}
  - {id: hand, manual: Pull the cable., allow_yes: true, undo: {none: by hand}}
  - id: asked
    run: "rm -r WORK/target"
    approval: {prompt: Sure?, allow_yes: true}
    undo: {none: the trial}
on_failure: {steps: [{run: "touch WORK/failed"}]}
on_success: [{run: "touch WORK/succeeded"}]
on_exit: [{run: "touch WORK/over"}]
"""


def listing(*roots, without=None):
    """Each path below some folders: kind and mode, owner, time of change, and a hash.

    ``without`` is a folder that is left out with all in it.
    """
    found = {}
    for root in roots:
        for path in [root, *sorted(root.rglob("*"))]:
            if path == without or without in path.parents:
                continue
            state = path.lstat()
            content = b""
            if path.is_symlink():
                content = str(path.readlink()).encode()
            elif path.is_file():
                content = path.read_bytes()
            found[str(path)] = (
                oct(state.st_mode),
                (state.st_uid, state.st_gid),
                state.st_mtime_ns,
                hashlib.sha256(content).hexdigest(),
            )
    return found


@pytest.fixture
def places(ops):
    """The homes of the control machine and of two hosts, and the target; something is in each."""
    homes = ops.work.parent / "homes"
    lines = "".join(
        f"  {name}: {{connection: local, home: {homes}/{name}}}\n" for name in ("h1", "h2")
    )
    (ops.folder / "inventory.yaml").write_text(f"schema_version: 1\nhosts:\n{lines}")
    target = ops.work / "target"
    own = [ops.home, ops.work.parent / "session-buddy"]
    for folder in (homes / "h1", homes / "h2", target / "h1", *own):
        folder.mkdir(parents=True)
        (folder / "kept").write_text("kept")
        (folder / "link").symlink_to("kept")
        (folder / "secret").write_text("x")
        (folder / "secret").chmod(0o600)
    (target / "old").write_text("old\n")
    (ops.work / "source").write_text("a line\n")
    return *own, homes, ops.work


def invoke(ops, *options):
    path = ops.write("trial", RUNBOOK.replace("WORK", str(ops.work)))
    return subprocess.run(
        [sys.executable, "-m", "invoke", "runbook.run", str(path), *options],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_check_with_differences_leaves_everything_as_it_was(ops, places):
    first = invoke(ops, "--check")  # makes the folder of the records, which the homes would show
    assert first.returncode == 0, first.stderr
    before = listing(*places, without=ops.runs)
    done = invoke(ops, "--check", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert listing(*places, without=ops.runs) == before
    for said in ("h1: Put", "h2: Command", "+a line", "would run: ", "would ask a person"):
        assert said in done.stdout
    records = sorted(path.name for path in ops.runs.iterdir() if path.is_dir())
    assert len(records) == 2, "a record of each check, and nothing else"


def test_the_listing_sees_what_the_run_itself_changes(ops, places):
    invoke(ops, "--check")
    before = listing(*places, without=ops.runs)
    invoke(ops, "--yes")
    after = listing(*places, without=ops.runs)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert str(ops.work / "target" / "old") in changed
