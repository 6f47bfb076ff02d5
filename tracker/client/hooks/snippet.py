"""The lines that a shell evaluates to have its sessions recorded."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.places import Places


def hook_lines(shell: str, places: Places) -> str:
    """What to put into the start-up file of a shell.

    Args:
        shell: ``bash`` or ``zsh``.
        places: the deployment; where this code is its current release, the next one is as good.
    """
    text = Path(__file__).with_name(f"hook.{shell}").read_text(encoding="utf-8")
    return text.replace("@python@", shlex.quote(str(_interpreter(places))))


def _interpreter(places: Places) -> Path:
    current = places.current / "bin" / "python"
    if current.exists() and places.current.resolve() == Path(sys.prefix).resolve():
        return current
    return Path(sys.executable)
