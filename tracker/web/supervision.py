"""Who keeps a server running on this machine, and how it is told to start or stop it.

Three answers, in this order: systemd, supervisor, or nobody: a detached process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from schemas.errors import StepFailed
from tracker.web.last_words import did_not_start, said_since, size
from tracker.web.manager import (
    SUPERVISOR_CONFIG,
    SYSTEMD_RUNS,
    start_script,
    supervisor_shell,
    supervisorctl,
    supervisord,
    systemctl,
    unit_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.places import Places

_PATIENCE = 60
"""Seconds that a service manager may take."""

_ASKED_EVERY = 1.0
"""Seconds; each question to supervisor is a process, which the server would wait for."""


class Supervision(Protocol):
    """Starts and stops one server."""

    name: str

    def start(self) -> None:
        """Start it; it need not be healthy yet."""

    def stop(self) -> None:
        """Stop it; it may be stopped already."""

    def failure(self) -> str:
        """Why it will not come up any more; empty: it may still do so."""


def supervision(service: str, argv: Sequence[str], output: Path, places: Places) -> Supervision:
    """What keeps a server of this deployment running.

    Args:
        service: ``session-buddy`` or ``mahavishnu``.
        argv: the command that runs it, for the case that nobody else knows how.
        output: where a detached process leaves what it prints.
        places: the deployment.
    """
    if Path(SYSTEMD_RUNS).is_dir():
        for folder, user in _unit_folders():
            if _belongs(folder / unit_name(service), places):
                return Systemd(service, user=user)
    config = places.etc / SUPERVISOR_CONFIG
    if config.is_file():
        console = places.log / f"{service}.console.log"
        return Supervisor(service, config, _tool_folder(places), console)
    return Detached(argv, output, places)


class Systemd:
    """A unit of the system's manager or of the user's."""

    name = "systemd"

    def __init__(self, service: str, *, user: bool) -> None:
        self._unit = unit_name(service)
        self._user = user

    def start(self) -> None:
        """Start the unit."""
        _run(systemctl("start", self._unit, user=self._user))

    def stop(self) -> None:
        """Stop the unit."""
        _run(systemctl("stop", self._unit, user=self._user))

    def failure(self) -> str:
        """Systemd restarts what ends."""
        return ""


class Supervisor:
    """A program of supervisord, which is started when it does not run."""

    name = "supervisor"

    def __init__(self, service: str, config: Path, folder: Path, console: Path) -> None:
        self._service = service
        self._config = config
        self._folder = folder
        self._console = console
        self._heard = 0
        self._ask_at = 0.0

    def start(self) -> None:
        """Start supervisord, then the program."""
        self._heard = size(self._console)
        self._ask_at = time.monotonic() + _ASKED_EVERY
        if not self._runs():
            _run(supervisord(self._config, folder=self._folder))
        shell = supervisor_shell(self._config, folder=self._folder)
        said = _ended(shell, start_script(self._service)).stdout
        if f"{self._service}: added process group" not in said:
            faults = [line for line in said.splitlines() if "ERROR" in line]
            reason = f"supervisorctl failed: {faults[-1] if faults else said.strip()}"
            output = f"its output: {self._console}"
            if words := said_since(self._console, self._heard):
                raise did_not_start(self._service, words, f"{output} ({reason})")
            raise StepFailed(reason, hint=output)

    def stop(self) -> None:
        """Stop the program; supervisord stays."""
        if self._runs():
            _run(supervisorctl(self._config, "stop", self._service, folder=self._folder))

    def failure(self) -> str:
        """Say what the server said last, once supervisor does not try again to start it."""
        if time.monotonic() < self._ask_at:
            return ""
        self._ask_at = time.monotonic() + _ASKED_EVERY
        argv = supervisorctl(self._config, "status", self._service, folder=self._folder)
        state = _ended(argv).stdout.strip()
        if "FATAL" not in state.split():
            return ""
        return said_since(self._console, self._heard) or state

    def _runs(self) -> bool:
        asked = supervisorctl(self._config, "pid", folder=self._folder)
        return _ended(asked).returncode == 0


class Detached:
    """A process of its own session, which outlives the terminal that started it."""

    name = "process"

    def __init__(self, argv: Sequence[str], output: Path, places: Places) -> None:
        self._argv = list(argv)
        self._output = output
        self._places = places
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process."""
        for folder in (self._places.home, self._places.tracker_home, self._output.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                cwd=self._places.home,
                env=_environment(self._places, os.environ),
            )
        except OSError as error:
            message = f"{self._argv[0]} could not be started: {error.strerror}"
            raise StepFailed(message) from None
        finally:
            os.close(descriptor)

    def stop(self) -> None:
        """Nobody but its PID file knows it; see ``tracker.web.lifecycle.stop``."""

    def failure(self) -> str:
        """Say what the process said last, if it has ended."""
        if self._process is None or self._process.poll() is None:
            return ""
        said = self._output.read_text(encoding="utf-8", errors="replace").strip()
        return said or f"it ended with exit code {self._process.returncode}"


def _environment(places: Places, environ: Mapping[str, str]) -> dict[str, str]:
    """The process works in another folder, where a relative home would be another place."""
    homes = {"MAHAVISHNU_HOME": str(places.home), "SESSION_BUDDY_HOME": str(places.tracker_home)}
    return {**environ, **homes}


def _unit_folders() -> list[tuple[Path, bool]]:
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return [(own / "systemd/user", True), (Path("/etc/systemd/system"), False)]


def _belongs(unit: Path, places: Places) -> bool:
    """A second deployment on this machine must not start the server of the first."""
    try:
        return str(places.home) in unit.read_text(encoding="utf-8")
    except OSError:
        return False


def _tool_folder(places: Places) -> Path:
    released = places.current / "bin"
    return released if (released / "supervisorctl").is_file() else Path(sys.executable).parent


def _run(argv: list[str]) -> None:
    result = _ended(argv)
    if result.returncode != 0:
        said = (result.stdout + result.stderr).strip().splitlines()
        reason = said[-1] if said else f"exit code {result.returncode}"
        raise StepFailed(f"{Path(argv[0]).name} failed: {reason}", hint=" ".join(argv))


def _ended(argv: list[str], script: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv, input=script, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
    except FileNotFoundError:
        raise StepFailed(f"there is no {argv[0]}", hint="invoke deploy installs it") from None
    except subprocess.TimeoutExpired:
        raise StepFailed(f"{Path(argv[0]).name} took longer than {_PATIENCE} s") from None
