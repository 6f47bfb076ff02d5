"""Folders for work that may be cut off half-way: the next such work clears away what is left."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def work_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A private folder that is gone afterwards, and those that dead processes have left as well.

    Args:
        parent: where it is made; made itself if it is missing.
        prefix: of its name, such as ``.backup-``; the process's pid follows.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    clear_leftovers(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what stays is cleared by the next one


def clear_leftovers(parent: Path, prefix: str) -> None:
    """Remove the folders of this kind that dead processes have left."""
    for folder in parent.glob(f"{prefix}*-*"):
        pid = folder.name.removeprefix(prefix).split("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
