"""What git says of a repository."""

from __future__ import annotations

import subprocess

import pytest

from orchestrator.repositories import parse_status, read_repository

HEAD = "# branch.oid 1f2e3d\n# branch.head main\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD, ("main", "1f2e3d", False)),
        (HEAD + "? new.txt\n", ("main", "1f2e3d", True)),
        (HEAD + "1 .M N... 100644 100644 100644 a b file\n", ("main", "1f2e3d", True)),
        ("# branch.oid (initial)\n# branch.head main\n", ("main", "", False)),
        ("# branch.oid 1f2e3d\n# branch.head (detached)\n", ("(detached)", "1f2e3d", False)),
        (HEAD + "# branch.upstream origin/main\n# branch.ab +1 -0\n", ("main", "1f2e3d", False)),
    ],
)
def test_status_is_read(text, expected):
    found = parse_status("/srv/repo", text)
    assert (found.branch, found.commit, found.dirty) == expected


def test_a_folder_that_is_no_repository_says_so(tmp_path):
    assert read_repository(tmp_path / "none").error == "no such folder"
    assert "not a git repository" in read_repository(tmp_path).error


def test_looking_changes_nothing(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / ".git").rglob("*"))
    assert read_repository(tmp_path).dirty is False
    after = sorted(path.stat().st_mtime_ns for path in (tmp_path / ".git").rglob("*"))
    assert before == after
