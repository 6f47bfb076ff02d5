"""The name of this machine's time zone, for who groups by local days and hours."""

from __future__ import annotations

import os
from pathlib import Path

_LINK = Path("/etc/localtime")
_FOLDER = "zoneinfo/"


def zone_name() -> str:
    """The zone by its IANA name; UTC where the machine does not tell it."""
    wanted = os.environ.get("TZ", "").removeprefix(":")
    if not wanted:
        # The link names it; the file behind it may be another name's copy.
        wanted = os.fspath(_LINK.readlink()) if _LINK.is_symlink() else ""
    name = wanted.rpartition(_FOLDER)[2]
    return name if name and not name.startswith("/") else "UTC"
