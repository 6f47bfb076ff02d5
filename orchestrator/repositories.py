"""The repositories that the settings list (``mahavishnu.repos``), as git sees them now.

Read-only: nothing here changes a repository, not even its index.
"""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from schemas.settings import Settings

GIT_TIMEOUT = 10.0
"""Seconds for one repository; a network drive may never answer."""


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository.

    Args:
        path: as the settings have it, with ``~`` resolved.
        branch: the branch, or ``(detached)``.
        commit: the whole hash; empty before the first commit.
        dirty: whether anything is changed or untracked; None: not known.
        error: why it could not be read; else empty.
    """

    path: str
    branch: str = ""
    commit: str = ""
    dirty: bool | None = None
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def list_repositories(settings: Settings) -> list[Repository]:
    """The repositories of the settings, in their order; a broken one says why."""
    paths = [Path(text).expanduser() for text in settings["mahavishnu.repos"]]
    if not paths:
        return []
    with ThreadPoolExecutor(max_workers=min(8, len(paths))) as pool:
        return list(pool.map(read_repository, paths))


def read_repository(path: Path) -> Repository:
    """Ask git about one folder."""
    if not path.is_dir():
        return Repository(str(path), error="no such folder")
    argv = ["git", "-C", str(path), "status", "--porcelain=v2", "--branch"]
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )
    except FileNotFoundError:
        return Repository(str(path), error="git is not installed")
    except subprocess.TimeoutExpired:
        return Repository(str(path), error=f"git did not answer in {GIT_TIMEOUT:g} s")
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["git failed"])[0]
        return Repository(str(path), error=reason.removeprefix("fatal: "))
    return parse_status(str(path), done.stdout)


def parse_status(path: str, text: str) -> Repository:
    """What ``git status --porcelain=v2 --branch`` says."""
    headers = dict(
        line.removeprefix("# branch.").split(" ", 1)
        for line in text.splitlines()
        if line.startswith("# branch.")
    )
    commit = headers.get("oid", "")
    return Repository(
        path,
        branch=headers.get("head", ""),
        commit="" if commit == "(initial)" else commit,
        dirty=any(line and not line.startswith("#") for line in text.splitlines()),
    )
