"""The service manager systemd: a unit for each server, the system's for root, else the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orchestrator.tasks import command
from orchestrator.tasks.config import rendered
from orchestrator.tasks.managed import SERVERS, Managed
from orchestrator.tasks.outcome import Inverse, Outcome
from orchestrator.tasks.placing import look, place
from orchestrator.tasks.scope import scope
from tracker.web.manager import systemctl, unit_name

if TYPE_CHECKING:
    from invoke.context import Context

    from tracker.web.manager import Action

_TAIL = 20


class Systemd:
    """See ``ServiceManager``."""

    name = "systemd"

    def __init__(self, c: Context) -> None:
        self._c = c
        self._host = scope(c).host
        self._user = not self._host.is_root

    def _path(self, server: str) -> Path:
        own = self._host.home / ".config" / "systemd" / "user"
        return (own if self._user else Path("/etc/systemd/system")) / unit_name(server)

    def install(self) -> Outcome:
        """Render the units.

        Raises:
            StepFailed: ``systemd-analyze verify`` refuses a unit.
        """
        mode = " --user" if self._user else ""
        first = all(look(self._c, self._path(server)).kind == "nothing" for server in SERVERS)
        placed = [
            place(
                self._c,
                self._path(server),
                rendered(self._c, f"{unit_name(server)}.j2").encode(),
                0o644,
                validate=f"systemd-analyze{mode} verify {{file}}",
            )
            for server in SERVERS
        ]
        changed = [outcome for outcome in placed if outcome.changed]
        if not changed:
            return Outcome(message="unchanged")
        if not scope(self._c).check:
            self._call("daemon-reload")
        undo = tuple(inverse for outcome in changed for inverse in outcome.undo)
        return Outcome(
            changed=True,
            message=f"{len(changed)} units written",
            diff="".join(outcome.diff for outcome in changed),
            undo=(Inverse("service.uninstall", {}),) if first else undo,
        )

    def start_at_boot(self, enabled: bool) -> bool:
        """Have the units start when the machine does, or no longer.

        Returns:
            Whether that is a change.
        """
        units = [unit_name(server) for server in SERVERS]
        shown = command.run(self._c, [*self._words("is-enabled"), *units], check=False)
        wanted = "enabled" if enabled else "disabled"
        if shown.stdout.split() == [wanted] * len(units):
            return False
        if not scope(self._c).check:
            command.run(self._c, [*self._words("enable" if enabled else "disable"), *units])
            if enabled and self._user:
                # Without it the user's units start at login only, and end with the last session.
                command.run(self._c, ["loginctl", "enable-linger", self._host.user], check=False)
        return True

    def uninstall(self) -> Outcome:
        """Stop and disable the units, and remove them."""
        paths = [path for path in map(self._path, SERVERS) if look(self._c, path).kind != "nothing"]
        if not paths:
            return Outcome(message="unchanged")
        if not scope(self._c).check:
            self._stop_both()
            named = [path.name for path in paths]
            command.run(self._c, [*self._words("disable"), *named], check=False)
            command.run(self._c, ["rm", "-f", "--", *paths])
            self._call("daemon-reload")
        diff = "".join(f"- {path}\n" for path in paths)
        return Outcome(changed=True, message="stopped and removed", diff=diff)

    def look(self, server: str) -> Managed:
        """How the unit is; changes nothing."""
        shown = self._show(server)
        pid = int(shown.get("MainPID") or 0)
        state = shown.get("ActiveState", "unknown")
        return Managed(
            pid=pid or None,
            state=state,
            given_up=state == "failed",
            idle=state in {"inactive", "failed"},
            starting=state == "activating" and bool(pid),
        )

    def refresh(self, server: str) -> Managed:
        """Have systemd read the unit again when its file is newer than what it knows."""
        if self._show(server).get("NeedDaemonReload") == "yes":
            self._call("daemon-reload")
        return self.look(server)

    def start(self, server: str) -> None:
        """Start the unit."""
        self._call("start", server)

    def restart(self, server: str) -> None:
        """Restart the unit."""
        self._call("restart", server)

    def stop(self, server: str) -> None:
        """Stop the unit."""
        self._call("stop", server)

    def shut_down(self) -> bool:
        """Stop both units; systemd itself is not ours."""
        ran = [server for server in SERVERS if not self.look(server).idle]
        self._stop_both()
        return bool(ran)

    def _stop_both(self) -> None:
        for server in reversed(SERVERS):
            self.stop(server)

    def log_tail(self, server: str) -> list[str]:
        """The last lines in the journal."""
        unit = ["--user-unit" if self._user else "--unit", unit_name(server)]
        argv = ["journalctl", "--no-pager", "-o", "cat", "-n", str(_TAIL), *unit]
        return command.run(self._c, argv, check=False).stdout.splitlines()

    def _show(self, server: str) -> dict[str, str]:
        wanted = "--property=MainPID,ActiveState,NeedDaemonReload"
        answer = command.run(self._c, [*self._words("show"), wanted, unit_name(server)])
        return dict(line.partition("=")[::2] for line in answer.stdout.splitlines())

    def _words(self, action: str) -> list[str]:
        return ["systemctl", *(["--user"] if self._user else []), "--no-ask-password", action]

    def _call(self, action: Action | Literal["daemon-reload"], server: str = "") -> None:
        unit = unit_name(server) if server else ""
        argv = systemctl(action, unit, user=self._user)
        # Its failure shows in the server's own health, which is waited for.
        command.run(self._c, argv, check=action == "daemon-reload")
