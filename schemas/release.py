"""Which version and which release this code is; both servers report it in ``/health``."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

CHECKOUT = "checkout"


def version() -> str:
    """The version of the installed package, such as ``0.1.0``."""
    return metadata.version("sessionops")


def release_id() -> str:
    """The release that this interpreter belongs to, or ``checkout``.

    A release is a virtual environment with a ``release.json`` in it; its folder's name is its id.
    """
    prefix = Path(sys.prefix)
    return prefix.name if (prefix / "release.json").is_file() else CHECKOUT
