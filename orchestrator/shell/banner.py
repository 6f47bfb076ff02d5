"""What greets who opens a shell: where it is, whether it is recorded, what can be typed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from schemas.release import release_id, version
from tracker.client.flush import spool_status
from tracker.client.servers import session_buddy
from tracker.client.tokens import login_name

if TYPE_CHECKING:
    from schemas.settings import Settings

_PATIENCE = 0.5
"""Seconds; a tracker that hangs must not keep anybody from a prompt."""

_HINTS = (
    "ps() top() errors() sync() runbooks()   %repos %runbooks %sessions %health",
    "ps? explains ps; a line that begins with a space is not recorded; exit leaves",
)


def banner(settings: Settings, session_id: str) -> str:
    """What is printed before the first prompt."""
    places = settings.places
    facts = {
        "home": f"{places.home} (code: {release_id()})",
        "tracker": _tracker(settings),
        "session": _recording(settings, session_id),
    }
    head = f"mahavishnu {version()} admin shell, {login_name()} on {os.uname().nodename}"
    lines = [f"  {name:<9}{value}" for name, value in facts.items()]
    warnings = [f"  warning: {warning}" for warning in settings.warnings]
    return "\n".join([head, *lines, *warnings, *(f"  {hint}" for hint in _HINTS)])


def _recording(settings: Settings, session_id: str) -> str:
    name = "mahavishnu.session.enabled"
    if settings.flag(name):
        return f"{session_id}, recorded"
    return f"not recorded: switched off by {settings.source(name)}"


def _tracker(settings: Settings) -> str:
    try:
        with session_buddy(settings, timeout=_PATIENCE) as tracker:
            health = tracker.health()
    except SessionopsError:
        waiting = spool_status(settings).events
        return (
            f"does not answer on {settings.tracker_url}; {waiting} events wait in the spool."
            " Start it with: session-buddy mcp start"
        )
    return f"{health.status} on {settings.tracker_url} (release {health.release})"
