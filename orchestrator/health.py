"""What the mahavishnu server finds when it looks at itself; the lines of the guide's health check.

Every line is a probe that was made for this answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.adapters import adapters
from schemas.errors import NotAuthorised, SessionopsError
from schemas.health import Probe
from tracker.client.servers import session_buddy
from tracker.client.tokens import local_token

if TYPE_CHECKING:
    from schemas.settings import Settings
    from tracker.web.auth import Guard

SERVER = "Mahavishnu MCP server"
AUTHENTICATION = "Authentication"
TRACKING = "Session tracking"
ADAPTERS = "Adapters"

ESSENTIAL = frozenset({SERVER, AUTHENTICATION})
"""Without the tracker a server still answers and runs still run: that is only degraded."""

_TRACKER_TIMEOUT = 2.0


def probes(settings: Settings, guard: Guard) -> tuple[Probe, ...]:
    """Look at everything now.

    Args:
        settings: the settings that the server started with.
        guard: what stands before this server's routes.
    """
    found = (authentication(settings, guard), session_tracking(settings), available_adapters())
    well = all(probe.ok is not False for probe in found if probe.name in ESSENTIAL)
    server = Probe(SERVER, ok=well, value="healthy" if well else "unhealthy")
    return (server, *found)


def authentication(settings: Settings, guard: Guard) -> Probe:
    """Whether a request without a token is refused, and one with a token of this user let in."""
    if not settings.flag("mahavishnu.auth_enabled"):
        where = settings.source("mahavishnu.auth_enabled")
        return Probe(AUTHENTICATION, ok=None, value="disabled", hint=f"switched off by {where}")
    try:
        guard.check("", "read")
    except NotAuthorised:
        pass
    else:
        return Probe(
            AUTHENTICATION,
            ok=False,
            value="open",
            hint="a request without a token was let in; restart: mahavishnu mcp restart",
        )
    try:
        token = local_token(settings, "mahavishnu", ["read"])
        guard.check(f"Bearer {token}", "read")
    except NotAuthorised:
        return Probe(
            AUTHENTICATION,
            ok=False,
            value="outdated",
            hint="the key was changed after the start; mahavishnu mcp restart",
        )
    except SessionopsError as error:
        return Probe(AUTHENTICATION, ok=False, value="no usable key", hint=error.hint)
    return Probe(AUTHENTICATION, ok=True, value="enabled")


def session_tracking(settings: Settings) -> Probe:
    """Whether sessions are recorded, and the tracker takes and gives them."""
    name = "mahavishnu.session.enabled"
    if not settings.flag(name):
        hint = f"switched off by {settings.source(name)}"
        return Probe(TRACKING, ok=None, value="disabled", hint=hint)
    try:
        with session_buddy(settings, "read", timeout=_TRACKER_TIMEOUT) as tracker:
            health = tracker.health()
            tracker.get("/api/v1/sessions", limit=1)
    except SessionopsError as error:
        hint = f"{error.message}; {error.hint}"
        return Probe(TRACKING, ok=False, value="unavailable", hint=hint)
    if health.status == "unhealthy":
        return Probe(TRACKING, ok=False, value="tracker unhealthy", hint="session-buddy health")
    return Probe(TRACKING, ok=True, value="enabled")


def available_adapters() -> Probe:
    """Which ways there are to carry out a run."""
    found = adapters()
    faulty = [adapter for adapter in found if adapter.fault]
    return Probe(
        ADAPTERS,
        ok=not faulty,
        value=", ".join(str(adapter) for adapter in found),
        hint="; ".join(adapter.fault for adapter in faulty),
    )
