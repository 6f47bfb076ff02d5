"""Supervisor as the service manager: one supervisord a deployment, in the deployment's own home."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.tasks import command, processes
from orchestrator.tasks.config import rendered
from orchestrator.tasks.listeners import arguments_of
from orchestrator.tasks.managed import Managed
from orchestrator.tasks.outcome import Inverse, Outcome
from orchestrator.tasks.placing import look, place
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed
from tracker.web.manager import SUPERVISOR_CONFIG, start_script, supervisor_shell, supervisord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from invoke.context import Context

    from schemas.places import Places

_LONGEST_SOCKET = 107 - len(".4194304")
"""Bytes of a socket's path (unix(7)), less the PID that supervisord adds to it for a moment."""
_STOP_SECONDS = 40.0
_TAIL = 20
_PROMPT = "supervisor> "
_STATUS = re.compile(r"^(\S+)\s+([A-Z]+)\b", re.MULTILINE)
_PID = re.compile(r"^(\d+)$", re.MULTILINE)
_CHANGED = re.compile(r": (?:added|updated) process group")
_IDLE = {"STOPPED", "EXITED", "FATAL"}
_SILENT = ("no such file", "refused connection", "could not find config file")
_CHECK = (
    "import sys; from supervisor.options import ServerOptions; "
    'ServerOptions().realize(["-n", "-c", sys.argv[1]])'
)


def config_of(places: Places) -> Path:
    """Supervisor's configuration."""
    return places.etc / SUPERVISOR_CONFIG


def socket_of(places: Places) -> Path:
    """Where supervisord listens."""
    return places.state / "supervisor.sock"


def daemon_argv(places: Places) -> list[str]:
    """The command that starts supervisord, which goes into the background by itself."""
    return supervisord(config_of(places), folder=places.current / "bin")


class Supervisor:
    """See ``ServiceManager``."""

    name = "supervisor"

    def __init__(self, c: Context) -> None:
        self._c = c
        self._places = scope(c).places

    def install(self) -> Outcome:
        """Render its configuration.

        Raises:
            InvalidInput: the home is too deep for a socket in it.
            StepFailed: supervisor itself does not accept the file.
        """
        path, socket = config_of(self._places), socket_of(self._places)
        if len(str(socket).encode()) > _LONGEST_SOCKET:
            raise InvalidInput(
                f"{socket} is too long for the path of a socket",
                hint="choose a shorter MAHAVISHNU_HOME",
            )
        first = look(self._c, path).kind == "nothing"
        text = rendered(self._c, "supervisord.conf.j2")
        python = self._places.current / "bin" / "python"
        usable = command.run(self._c, ["test", "-x", python], check=False)
        placed = place(
            self._c,
            path,
            text.encode(),
            0o600,
            validate=shlex.join([str(python), "-c", _CHECK, "{file}"]) if usable else "",
        )
        if not placed.changed or not first:
            return placed
        undo = (Inverse("service.uninstall", {}),)
        return replace(placed, undo=undo)

    def uninstall(self) -> Outcome:
        """Stop supervisord with all that it runs, and remove its configuration."""
        path = config_of(self._places)
        if look(self._c, path).kind == "nothing" and not self._daemons():
            return Outcome(message="unchanged")
        if not scope(self._c).check:
            self.shut_down()
            command.run(self._c, ["rm", "-f", "--", path])
        return Outcome(changed=True, message="stopped and removed", diff=f"- {path}\n")

    def look(self, server: str) -> Managed:
        """How the server is; changes nothing."""
        return self._ask(server) or Managed(None, "supervisord is off", idle=True)

    def refresh(self, server: str) -> Managed:
        """Start supervisord if need be, and have it read its configuration again."""
        found = self._ask(server, f"update {server}")
        if found is not None:
            return found
        command.run(self._c, daemon_argv(self._places), cwd=self._places.home)
        found = self._ask(server)
        if found is None:
            raise StepFailed(
                "supervisord does not answer",
                where=scope(self._c).host.name,
                hint=f"its log: {self._places.log / 'supervisord.log'}",
            )
        return replace(found, touched="supervisord was started")

    def start(self, server: str) -> None:
        """Start the server."""
        # That it dies at once is found by whoever waits for it to answer.
        command.run(self._c, self._shell(), input=start_script(server), check=False)

    def restart(self, server: str) -> None:
        """Stop and start it."""
        self.start(server)

    def stop(self, server: str) -> None:
        """Stop it; without a supervisord there is nothing to stop."""
        if self._daemons():
            command.run(self._c, self._shell(), input=f"stop {server}\n", check=False)

    def shut_down(self) -> bool:
        """End supervisord, which stops its servers first.

        By signal, because the configuration and the release that it came from may be gone.

        Raises:
            StepFailed: it goes on running.
        """
        daemons = self._daemons()
        processes.end(self._c, daemons, _STOP_SECONDS)
        left = self._daemons()
        if left:
            raise StepFailed(
                f"supervisord (pid {left[0]}) could not be ended",
                where=scope(self._c).host.name,
                hint=f"as its owner: kill {left[0]}",
            )
        return bool(daemons)

    def log_tail(self, server: str) -> list[str]:
        """The last lines that the server wrote to its standard output and error."""
        path = self._places.log / f"{server}.console.log"
        answer = command.run(self._c, ["tail", "-n", str(_TAIL), "--", path], check=False)
        return answer.stdout.splitlines()

    def _daemons(self) -> list[int]:
        """The PIDs of this deployment's supervisord: one if it runs, as a rule.

        Known by its arguments. Its PID file may be gone or from another life, its socket as well.
        """
        found = processes.naming(self._c, config_of(self._places))
        return [
            pid
            for pid in found
            if runs_supervisord(arguments_of(self._c, pid)) and processes.is_running(self._c, pid)
        ]

    def _ask(self, server: str, first: str = "") -> Managed | None:
        """What supervisorctl says of a server; None when no supervisord answers."""
        # Only `pid` tells it of a server that was started less than startsecs ago.
        script = "".join(
            f"{line}\n" for line in (first, f"status {server}", f"pid {server}") if line
        )
        answer = command.run(self._c, self._shell(), input=script, check=False)
        if any(sign in answer.stdout for sign in _SILENT):
            return None
        return managed_in(answer.stdout, server)

    def _shell(self) -> list[str]:
        return supervisor_shell(config_of(self._places), folder=self._places.current / "bin")


def runs_supervisord(argv: Sequence[str]) -> bool:
    """Whether an argument list is supervisord's: the program itself, or Python with it."""
    return any(word.rsplit("/", 1)[-1] == "supervisord" for word in argv[:2])


def managed_in(output: str, server: str) -> Managed:
    """The state of a server in what supervisorctl prints.

    Raises:
        StepFailed: it says nothing of that server.
    """
    output = output.replace(_PROMPT, "")
    touched = "its configuration was read again" if _CHANGED.search(output) else ""
    pid = _PID.search(output)
    # It begins with the state of everything as it was before the first command.
    for name, state in reversed(_STATUS.findall(output)):
        if name == server:
            return Managed(
                pid=int(pid[1]) or None if pid else None,
                state=state,
                given_up=state == "FATAL",
                idle=state in _IDLE,
                starting=state == "STARTING",
                touched=touched,
            )
    last = output.strip().splitlines()[-1:] or ["nothing"]
    raise StepFailed(f"supervisor says of {server}: {last[0]}")
