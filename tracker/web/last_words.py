"""What a server said before it ended, as an error for a person. Knows no process and no manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.errors import StepFailed

if TYPE_CHECKING:
    from pathlib import Path

_TAIL = 64_000
"""Bytes from the end of an output that are looked at."""


def size(output: Path) -> int:
    """Bytes that are in a file now; 0 for none."""
    try:
        return output.stat().st_size
    except OSError:
        return 0


def said_since(output: Path, position: int) -> str:
    """What was added to a file since it had that size; a file that was rotated is new."""
    end = size(output)
    begin = position if position <= end else 0
    try:
        with output.open("rb") as file:
            file.seek(max(begin, end - _TAIL))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def did_not_start(title: str, said: str, otherwise: str) -> StepFailed:
    """The server's own error with its own hint, when that is how it ended; else its last words.

    Args:
        title: what a person calls the server.
        said: what it printed; not empty.
        otherwise: the hint where it gave none.
    """
    lines = said.strip().splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    if not errors:
        return StepFailed(f"{title} did not start: {lines[-1].strip()}", hint=otherwise)
    reason = lines[errors[-1]].removeprefix("error: ")
    # Supervisor starts it anew, so that what follows may be the beginning of another attempt.
    follows = [line for line in lines[errors[-1] + 1 :] if line.startswith(" ")]
    hint = " ".join(line.strip() for line in follows)
    return StepFailed(f"{title} did not start: {reason}", hint=hint or otherwise)
