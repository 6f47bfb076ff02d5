"""The deployment that the scenarios are run against: the live one, or one made for this test run.

Knows how to start commands in its environment and where it keeps things; asserts nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from schemas.places import Places
from schemas.settings import Settings

OWN_PREFIXES = ("MAHAVISHNU_", "SESSION_BUDDY_", "PROMETHEUS_", "ONEIRIC_", "DEPLOY_")
COMMAND_TIMEOUT = 120.0
"""Seconds after which a command that a scenario runs is ended."""


@dataclass
class Finished:
    """A command that ran to its end."""

    command: str
    pid: int
    exit_code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.stdout}{self.stderr}[exit {self.exit_code}]"


@dataclass
class Deployment:
    """A deployment and the environment in which its commands are run.

    Args:
        environ: the environment of every command.
        folder: where commands are run; a checkout for a temporary deployment.
    """

    environ: dict[str, str]
    folder: Path

    @property
    def settings(self) -> Settings:
        """Its settings as they are now."""
        return Settings.load(environ=self.environ)

    @property
    def places(self) -> Places:
        """Its folders."""
        return Places.of_this_user(self.environ)

    def run(self, command: str, *arguments: str, timeout: float = COMMAND_TIMEOUT) -> Finished:
        """Run a command line; ``arguments`` are added as they are, unquoted by any shell."""
        words = [*command.split(), *arguments]
        with subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Finished(" ".join(words), process.pid, process.returncode, stdout, stderr)


def live() -> Deployment:
    """The deployment that this process's environment names; its commands come from ``current``."""
    environ = dict(os.environ)
    current = Places.of_this_user(environ).current / "bin"
    environ["PATH"] = f"{current}{os.pathsep}{environ.get('PATH', '')}"
    return Deployment(environ, Path.home())


def temporary(root: Path, checkout: Path) -> Deployment:
    """Folders, ports and environment for a deployment under ``root``; nothing is deployed yet."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(OWN_PREFIXES)}
    tracker, mahavishnu, metrics = free_ports(3)
    environ |= {
        "MAHAVISHNU_HOME": str(root / "mahavishnu"),
        "SESSION_BUDDY_HOME": str(root / "session-buddy"),
        "SESSION_BUDDY_PORT": str(tracker),
        "MAHAVISHNU_PORT": str(mahavishnu),
        "PROMETHEUS_METRICS_PORT": str(metrics),
        "DEPLOY_PROJECT": str(root),
        "DEPLOY_START_AT_BOOT": "false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}",
        "COLUMNS": "120",
    }
    return Deployment(environ, checkout)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def take_down(deployment: Deployment) -> None:
    """Stop everything that runs from a temporary deployment, and remove its folders."""
    if deployment.places.current.exists():
        deployment.run("invoke service.shutdown")
    for folder in (deployment.places.home, deployment.places.tracker_home):
        shutil.rmtree(folder, ignore_errors=True)
