"""What is known about a session when it starts: who, where, in which repository, by which program.

Reads a few small files; the one program that it runs is ``git``, for what no file tells.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.client.redact import redact, redact_data
from tracker.client.tokens import login_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN_VARIABLES = ("SHELL", "TERM", "LANG", "TZ", "VIRTUAL_ENV", "SSH_CONNECTION", "SUDO_USER")
"""Only these are recorded of the environment: secrets live there."""

_AGENT_VARIABLES = (
    "AI_AGENT",
    "AGENT",
    "CLAUDECODE",
    "CURSOR_AGENT",
    "GEMINI_CLI",
    "CODEX_SANDBOX",
)
"""Set by programs that type commands on somebody's behalf."""

_GIT_PATIENCE = 0.25
"""Seconds; where git needs longer, a session starts without knowing whether the tree is dirty."""


def session_facts(
    component: str,
    session_type: str = "admin_shell",
    *,
    version: str = "",
    cwd: Path | None = None,
    run_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    look_at_git: bool = True,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Any]:
    """The facts of a session that starts now, shaped as ``schemas.session.SessionFacts``.

    Args:
        component: what runs the session, such as ``mahavishnu``.
        session_type: ``admin_shell``, ``runbook``, ``acceptance``, ...
        version: the version of the component.
        cwd: the folder that it works in; None: the current one.
        run_id: the run that it is part of.
        metadata: more to remember; secrets are masked.
        look_at_git: note branch and commit (setting ``session_tracking.auto_init``).
        environ: the environment.
    """
    folder = cwd or _current_folder()
    work = git_work(folder) if look_at_git else GitWork()
    shown = {name: environ[name] for name in _SHOWN_VARIABLES if name in environ}
    noted = {
        "env": shown,
        "git_branch": work.branch,
        "python_version": ".".join(str(part) for part in sys.version_info[:3]),
        "platform": f"{os.uname().sysname} {os.uname().release} {os.uname().machine}",
    }
    return {
        "component": component,
        "session_type": session_type,
        "user": login_name(),
        "host": os.uname().nodename,
        "cwd": redact(str(folder))[:500],
        "pid": os.getpid(),
        "version": version,
        "git_branch": work.branch[:500],
        "git_commit": work.commit,
        "git_dirty": work.dirty,
        "author_kind": "agent" if any(environ.get(name) for name in _AGENT_VARIABLES) else "person",
        "run_id": run_id,
        "metadata": redact_data({**noted, **(metadata or {})}),
    }


@dataclass(frozen=True, slots=True)
class GitWork:
    """The state of the work tree that a session starts in; empty outside of one."""

    branch: str = ""
    commit: str = ""
    dirty: bool | None = None


def git_work(folder: Path) -> GitWork:
    """Branch, commit and dirtiness of the repository that a folder is in."""
    for parent in (folder, *folder.parents):
        marker = parent / ".git"
        if marker.exists():
            try:
                branch, commit = _head(_git_folder(marker))
            except (OSError, UnicodeDecodeError):
                return GitWork()
            return GitWork(branch, commit, _is_dirty(parent))
    return GitWork()


def _git_folder(marker: Path) -> Path:
    if marker.is_dir():
        return marker
    # In a work tree made by `git worktree`, and in a submodule, .git is a file that points.
    pointed = marker.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    return marker.parent / pointed


def _head(git: Path) -> tuple[str, str]:
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return "", head
    reference = head.removeprefix("ref: ")
    common = git / "commondir"
    shared = git / common.read_text(encoding="utf-8").strip() if common.is_file() else git
    return reference.removeprefix("refs/heads/"), _commit(git, shared, reference)


def _commit(git: Path, shared: Path, reference: str) -> str:
    for folder in (git, shared):
        loose = folder / reference
        if loose.is_file():
            return loose.read_text(encoding="utf-8").strip()
    packed = shared / "packed-refs"
    if packed.is_file():
        for line in packed.read_text(encoding="utf-8").splitlines():
            commit, _, name = line.partition(" ")
            if name == reference:
                return commit
    return ""


def _is_dirty(tree: Path) -> bool | None:
    import subprocess

    # A repository can name a program for git to run as its file system monitor; not on our account.
    asked = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(tree)]
    try:
        status = subprocess.run(
            [*asked, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            check=True,
            timeout=_GIT_PATIENCE,
            env={key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return bool(status.stdout.strip())


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was removed under our feet
        return Path(os.environ.get("PWD", "/"))
