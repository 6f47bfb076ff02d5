"""Which ``session-buddy`` command answers, and becoming it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

COMMAND = "session-buddy"
NOT_FOUND = 6
"""The exit code that the project has for "there is no such thing"."""


def main() -> NoReturn:
    """Become ``session-buddy mcp stdio``, or say on standard error that there is none."""
    for command in candidates():
        # One that is not there, or whose interpreter is gone, is passed over.
        with contextlib.suppress(OSError):
            os.execv(command, [str(command), "mcp", "stdio"])  # noqa: S606 -- no shell is wanted
    print(f"error: there is no {COMMAND} command", file=sys.stderr)
    print("  deploy it with: invoke deploy", file=sys.stderr)
    sys.exit(NOT_FOUND)


def candidates() -> list[Path]:
    """Where the command may be, the deployment first.

    An emitter passes on little of its environment (HOME, PATH, SHELL, TERM), so that what names the
    deployment is usually its place in the home.
    """
    home = Path(os.environ.get("MAHAVISHNU_HOME") or Path.home() / ".mahavishnu")
    here = Path(__file__).resolve()
    # This folder lies in a checkout, or in <release>/ops of a release that is not in use (yet).
    above = here.parents[2]
    found = [
        home.expanduser() / "current" / "bin" / COMMAND,
        above / ".venv" / "bin" / COMMAND,
        above.parent / "bin" / COMMAND,
        Path(sys.executable).parent / COMMAND,
    ]
    elsewhere = shutil.which(COMMAND)
    return found + ([Path(elsewhere)] if elsewhere else [])
