"""Runs the commands of a release on the host: ``session-buddy ... --json`` and what it answers."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLACES = ("MAHAVISHNU_HOME", "SESSION_BUDDY_HOME")


def environment(c: Context) -> dict[str, str]:
    """Variables that tell a command which deployment it belongs to."""
    places = scope(c).places
    return dict(zip(_PLACES, (str(places.home), str(places.tracker_home)), strict=True))


def run(
    c: Context,
    program: str,
    arguments: Sequence[str],
    *,
    release: str | PurePath = "",
    timeout: float = 60.0,
    check: bool = True,
    as_server: bool = False,
    input: str | None = None,  # noqa: A002 -- subprocess's name for it
) -> command.Result:
    """Run a program of a release.

    Args:
        c: the task's Context or Connection.
        program: its name, such as ``session-buddy``.
        arguments: what follows it.
        release: the release's folder; empty: the one that ``current`` names.
        timeout: seconds.
        check: raise when it fails.
        as_server: with the environment that the service manager gives to a server, so that nothing
            that this shell exports counts.
        input: what it reads from standard input.

    Raises:
        CommandFailed: it failed (with ``check``), or did not end in time.
    """
    path = PurePath(release or scope(c).places.current) / "bin" / program
    words: list[str | PurePath] = [path, *arguments]
    if as_server:
        kept = {"HOME": str(scope(c).host.home), "PATH": SYSTEM_PATH, **environment(c)}
        words = ["env", "-i", *(f"{name}={value}" for name, value in kept.items()), *words]
    return command.run(c, words, env=environment(c), timeout=timeout, check=check, input=input)


def answer(result: command.Result, what: str) -> dict[str, Any]:
    """The JSON object that a command printed.

    Raises:
        StepFailed: it printed something else.
    """
    try:
        data = json.loads(result.stdout)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise StepFailed(f"{what} did not answer with JSON", hint=lines[-1] if lines else "")
    return data
