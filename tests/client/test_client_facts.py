"""What is known about a session when it starts."""

from __future__ import annotations

import os
import subprocess

import pytest

from schemas.session import SessionFacts
from tracker.client.facts import GitWork, git_work, session_facts
from tracker.client.identifiers import event_identifier, session_identifier


def git(folder, *arguments):
    identity = ["-c", "user.name=ops", "-c", "user.email=ops@example.org"]
    argv = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--initial-branch", "topic/one")
    (folder / "file").write_text("1")
    git(folder, "add", "file")
    git(folder, "commit", "--message", "first")
    return folder


def test_facts_are_what_the_tracker_takes(tmp_path):
    facts = session_facts("mahavishnu", "runbook", version="1", cwd=tmp_path, run_id="r1")
    read = SessionFacts.model_validate(facts)
    assert (read.pid, read.run_id, read.cwd) == (os.getpid(), "r1", str(tmp_path))
    assert set(read.metadata) >= {"env", "git_branch", "python_version", "platform"}


def test_of_the_environment_only_harmless_names_are_taken():
    environ = {"SHELL": "/bin/sh", "DB_PASSWORD": "hunter2", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    facts = session_facts("x", environ=environ, look_at_git=False)
    assert facts["metadata"]["env"] == {"SHELL": "/bin/sh"}
    assert "hunter2" not in str(facts)


@pytest.mark.parametrize(("environ", "kind"), [({}, "person"), ({"AI_AGENT": "1"}, "agent")])
def test_who_types(environ, kind):
    assert session_facts("x", environ=environ, look_at_git=False)["author_kind"] == kind


def test_branch_commit_and_dirtiness(repository):
    head = git(repository, "rev-parse", "HEAD")
    below = repository / "deep" / "down"
    below.mkdir(parents=True)
    assert git_work(below) == GitWork("topic/one", head, dirty=False)
    (repository / "file").write_text("2")
    assert git_work(below) == GitWork("topic/one", head, dirty=True)


def test_a_packed_reference(repository):
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "pack-refs", "--all")
    assert git_work(repository).commit == head


def test_a_detached_head(repository):
    git(repository, "checkout", "--detach")
    assert git_work(repository).branch == ""
    assert git_work(repository).commit == git(repository, "rev-parse", "HEAD")


def test_a_work_tree_beside_the_repository(repository, tmp_path):
    git(repository, "worktree", "add", "-b", "two", str(tmp_path / "second"))
    head = git(repository, "rev-parse", "HEAD")
    assert git_work(tmp_path / "second") == GitWork("two", head, dirty=False)


def test_a_repository_without_a_commit(tmp_path):
    git(tmp_path, "init", "--initial-branch", "main")
    assert git_work(tmp_path) == GitWork("main", "", dirty=False)


@pytest.mark.parametrize("content", [b"", b"gitdir: /nowhere", b"\xff"])
def test_a_damaged_repository_is_none(tmp_path, content):
    (tmp_path / ".git").write_bytes(content)
    assert git_work(tmp_path) == GitWork()


def test_outside_of_a_repository(tmp_path):
    assert git_work(tmp_path) == GitWork()


def test_a_repository_cannot_make_us_run_its_programs(repository, tmp_path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(trap))
    assert git_work(repository).dirty is False
    assert not (tmp_path / "sprung").exists()


def test_a_folder_that_was_removed_under_the_session(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert session_facts("x", look_at_git=False)["cwd"]


def test_identifiers_are_short_sorted_by_time_and_different():
    made = [session_identifier() for _ in range(1000)]
    assert {len(identifier) for identifier in made} == {16}
    assert len(set(made)) == 1000
    assert made[0][:7] <= made[-1][:7]
    assert len(event_identifier()) == 22
