"""Where things are kept: the folders of a deployment, and the folder that people operate from."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Places:
    """The folders and files of one deployment.

    Holds paths only and never looks at the disk, so it describes a remote host as well.

    Args:
        home: ``MAHAVISHNU_HOME``, by default ``~/.mahavishnu``.
        tracker_home: ``SESSION_BUDDY_HOME``, by default ``~/.session-buddy`` (the guide's).
    """

    home: Path
    tracker_home: Path

    @classmethod
    def of_this_user(cls, environ: Mapping[str, str] = os.environ) -> Places:
        """The deployment that the environment names, or else the one in the user's home."""
        user = Path(environ.get("HOME") or Path.home())
        return cls(
            home=_folder(environ.get("MAHAVISHNU_HOME"), user, ".mahavishnu"),
            tracker_home=_folder(environ.get("SESSION_BUDDY_HOME"), user, ".session-buddy"),
        )

    @property
    def releases(self) -> Path:
        """One virtual environment a release."""
        return self.home / "releases"

    @property
    def current(self) -> Path:
        """Symbolic link to the release that runs."""
        return self.home / "current"

    @property
    def etc(self) -> Path:
        """Rendered configuration; ``local.yaml`` here belongs to ``config set``."""
        return self.home / "etc"

    @property
    def state(self) -> Path:
        """Locks, PID files, saved content for undo, incident records."""
        return self.home / "state"

    @property
    def runs(self) -> Path:
        """One folder a run: record, journal, log."""
        return self.home / "runs"

    @property
    def audit(self) -> Path:
        """The hash-chained audit log."""
        return self.home / "audit"

    @property
    def log(self) -> Path:
        """Logs of the mahavishnu server and of the service manager."""
        return self.home / "log"

    @property
    def keyring(self) -> Path:
        """The 0600 file with the signing keys of both servers."""
        return self.etc / "keyring.json"

    @property
    def env_file(self) -> Path:
        """The rendered environment file (guide 2.4)."""
        return self.etc / "session-tracking.env"

    @property
    def mahavishnu_config(self) -> Path:
        """The rendered ``settings/mahavishnu.yaml`` (guide 2.3)."""
        return self.etc / "mahavishnu.yaml"

    @property
    def local_config(self) -> Path:
        """What ``config set`` wrote; a deploy never touches it."""
        return self.etc / "local.yaml"

    @property
    def tracker_config(self) -> Path:
        """The rendered ``~/.session-buddy/config.yaml`` (guide 2.3)."""
        return self.tracker_home / "config.yaml"

    @property
    def database(self) -> Path:
        """Default place of the tracker's database."""
        return self.tracker_home / "sessions.db"

    @property
    def backups(self) -> Path:
        """Backups of the database."""
        return self.tracker_home / "backups"

    @property
    def tracker_log(self) -> Path:
        """Logs of the tracker."""
        return self.tracker_home / "logs"

    @property
    def models(self) -> Path:
        """Embedding models."""
        return self.tracker_home / "models"

    @property
    def spool(self) -> Path:
        """Events that no server has acknowledged yet."""
        return self.tracker_home / "spool"

    def as_variables(self) -> dict[str, str]:
        """Every place by name, for ``{{ paths.<name> }}`` in runbooks and templates."""
        names = [name for name, value in vars(type(self)).items() if isinstance(value, property)]
        return {name: str(getattr(self, name)) for name in ["home", "tracker_home", *names]}


def _folder(value: str | None, user: Path, default: str) -> Path:
    if not value:
        return user / default
    if value == "~" or value.startswith("~/"):
        value = str(user) + value[1:]
    return Path(value.replace("${HOME}", str(user)).replace("$HOME", str(user))).absolute()


def ops_folder() -> Path:
    """The folder with ``tasks.py``, ``runbooks/``, ``templates/``, ``alerts/`` and ``features/``.

    In a checkout that is the checkout; in a release it is ``<release>/ops``.
    """
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "runbooks").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout
    return Path(sys.prefix) / "ops"


def is_checkout() -> bool:
    """Whether this code runs from a checkout, not from a release."""
    return ops_folder() != Path(sys.prefix) / "ops"
