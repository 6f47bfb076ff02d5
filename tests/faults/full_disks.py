"""Small file systems that a test fills to the last byte."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

PIECE = 64 * 1024


class SmallDisk:
    """A file system in memory, of a few megabytes; the kernel says when it is full."""

    def __init__(self, path):
        self.path = path
        self.filler = path / "filler"

    def fill(self, leave=0):
        """Fill it but for some bytes."""
        with self.filler.open("ab", buffering=0) as file:
            for piece in (PIECE, 4096, 1):
                try:
                    while shutil.disk_usage(self.path).free > leave:
                        file.write(b"\0" * piece)
                except OSError:
                    continue

    def make_room(self):
        self.filler.unlink()


def mounted(path, size):
    """Mount a small disk; without the right to, a test cannot run."""
    path.mkdir(parents=True, exist_ok=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        line = f"needs the right to mount a file system, as root or in `unshare -rm`: {done.stderr}"
        if os.environ.get("CI") == "true":
            pytest.fail(line)
        pytest.skip(line)
    return SmallDisk(path)


def unmount(disk):
    subprocess.run(["umount", "--lazy", str(disk.path)], check=True)
