"""A server as a service manager keeps it, and what every service manager can do.

Knows no manager in particular; ``service_manager`` chooses one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from orchestrator.tasks.outcome import Outcome

SERVERS = ("session-buddy", "mahavishnu")
"""Started in this order, and stopped in the opposite one."""


@dataclass(frozen=True)
class Managed:
    """A server as its manager sees it.

    Args:
        pid: None when it does not run.
        state: in the manager's own word.
        given_up: the manager will not try again by itself.
        idle: it neither runs nor is about to.
        starting: it was started a moment ago, and the manager has yet to see whether it lives.
        touched: what the manager did just now to make its configuration true; empty: nothing.
    """

    pid: int | None
    state: str
    given_up: bool = False
    idle: bool = False
    starting: bool = False
    touched: str = ""


class ServiceManager(Protocol):
    """What a service manager can do on one host."""

    name: str

    def install(self) -> Outcome:
        """Put its configuration in place."""

    def uninstall(self) -> Outcome:
        """Stop what it runs, and remove its configuration."""

    def look(self, server: str) -> Managed:
        """How the server is; changes nothing."""

    def refresh(self, server: str) -> Managed:
        """Make the configuration in place the one in force; starts the manager if need be."""

    def start(self, server: str) -> None:
        """Start the server; that it answers is for the caller to see."""

    def restart(self, server: str) -> None:
        """Stop and start it."""

    def stop(self, server: str) -> None:
        """Stop it; it may be stopped already."""

    def shut_down(self) -> bool:
        """Stop every server of this deployment, and the manager where it is ours.

        Returns:
            Whether any of them ran.
        """

    def log_tail(self, server: str) -> list[str]:
        """The last lines that the server said."""
