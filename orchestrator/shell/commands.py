"""What an operator can call in the shell: ``ps() top() errors() sync() runbooks()`` and magics.

Each gives back rows that show themselves as a table, so ``ps()`` is read and
``[run["run_id"] for run in ps()]`` is worked with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import listing, servers
from orchestrator.failures import failures
from orchestrator.listing import Said
from schemas.errors import InvalidInput, SessionopsError
from tracker.client.flush import flush_spool

if TYPE_CHECKING:
    from orchestrator.listing import Listing
    from orchestrator.shell.ipython import RecordedShell
    from schemas.settings import Settings

_FRESH_WITHIN = 0.5
"""Seconds that ``errors()`` waits for this shell's own last commands to arrive."""


class Commands:
    """The functions and magics of one shell.

    Args:
        shell: the shell that they are called in.
        settings: the settings that it started with.
    """

    def __init__(self, shell: RecordedShell, settings: Settings) -> None:
        self._shell = shell
        self._settings = settings

    def ps(self, limit: int = 20) -> Listing:
        """Show runs of runbooks, newest first, 20 or as many as you say."""
        return listing.runs(limit)

    def top(self) -> Listing:
        """Show the runs that are going on now, each with its step."""
        return listing.active_runs()

    def errors(self, n: int = 10) -> Listing:
        """Show the last n things that failed, in runs and in sessions, newest first."""
        self._shell.recorder.deliver(_FRESH_WITHIN)
        return failures(self._settings, n)

    def sync(self) -> Said:
        """Send every event that waits on this machine to the tracker, also of dead processes."""
        recorder = self._shell.recorder
        recorded = self._settings.flag("mahavishnu.session.enabled")
        if recorded and not recorder.deliver():
            return Said(f"events wait in the spool: {recorder.problem}")
        try:
            flushed = flush_spool(self._settings)
        except SessionopsError as error:
            return Said(f"events wait in the spool: {error}")
        others = {
            "sent": flushed.sent,
            "wait with their processes": flushed.left,
            "refused": flushed.set_aside,
        }
        told = [f"{count} other events {what}" for what, count in others.items() if count]
        own = "this session is stored" if recorded else "this session is not recorded"
        return Said("; ".join([own, *(told or ["nothing else waits"])]))

    def runbooks(self) -> Listing:
        """Show the runbooks that can be run."""
        return listing.runbooks()

    def magic_repos(self, _line: str = "") -> Listing:
        """Show the repositories of the settings: branch, commit, whether changed."""
        return listing.repositories(self._settings)

    def magic_runbooks(self, _line: str = "") -> Listing:
        """Show the runbooks that can be run."""
        return listing.runbooks()

    def magic_sessions(self, line: str = "") -> Listing:
        """Show your sessions on this host, newest first: %sessions, %sessions 30."""
        return listing.sessions(self._settings, _number(line, 10))

    def magic_health(self, _line: str = "") -> Said:
        """Show how both servers are."""
        return Said("\n".join(servers.health_of_both(self._settings)))


def install(shell: RecordedShell, settings: Settings) -> None:
    """Put the functions and magics into a shell."""
    commands = Commands(shell, settings)
    functions = (commands.ps, commands.top, commands.errors, commands.sync, commands.runbooks)
    shell.push({function.__name__: function for function in functions}, interactive=False)
    magics = (
        commands.magic_repos,
        commands.magic_runbooks,
        commands.magic_sessions,
        commands.magic_health,
    )
    for magic in magics:
        name = magic.__name__.removeprefix("magic_")
        shell.magics_manager.register_function(magic, magic_name=name)


def _number(text: str, default: int) -> int:
    text = text.strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise InvalidInput(f"{text!r} is not a number", hint="write it like %sessions 30")
    return int(text)
