"""The two servers seen from outside: how mahavishnu's is started, what both say of themselves.

Knows their addresses and their ``/health``; imports neither of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from tracker.client.servers import mahavishnu, session_buddy
from tracker.client.show import health_lines, unreachable_lines

if TYPE_CHECKING:
    from schemas.settings import Settings
    from tracker.client.http import ServerClient
    from tracker.web.lifecycle import ServerSpec

SERVICE = "mahavishnu"
TITLE = "Mahavishnu MCP server"
TRACKER_TITLE = "Session-Buddy MCP server"

_TIMEOUT = 5.0


def server_spec(settings: Settings) -> ServerSpec:
    """The mahavishnu server, for ``tracker.web.lifecycle``."""
    from tracker.web.lifecycle import ServerSpec, server_argv
    from tracker.web.logs import log_file

    places = settings.places
    cert = settings.text("mahavishnu.tls.cert")
    return ServerSpec(
        name=SERVICE,
        title=TITLE,
        argv=server_argv(SERVICE, "orchestrator.cli", places, "mcp", "start", "--foreground"),
        host=settings.text("mahavishnu.host"),
        port=settings.count("mahavishnu.port"),
        log=log_file(SERVICE, places),
        cert=Path(cert) if cert else None,
    )


def client_with(settings: Settings, token: str | None) -> ServerClient:
    """A client of the mahavishnu server that shows this token, or that of the token file, or none.

    Other than ``tracker.client.servers.mahavishnu`` it mints nothing: it is as good as its token.
    """
    from tracker.client.servers import mahavishnu_with
    from tracker.client.tokens import from_file

    if token is not None:
        return mahavishnu_with(settings, lambda: token)
    return mahavishnu_with(settings, from_file(settings, "mahavishnu"))


def health_of_both(settings: Settings) -> list[str]:
    """What both servers say of themselves, as the guide's lines (4.1)."""
    lines = []
    for title, client in (
        (TITLE, mahavishnu(settings, timeout=_TIMEOUT)),
        (TRACKER_TITLE, session_buddy(settings, timeout=_TIMEOUT)),
    ):
        try:
            with client:
                lines += health_lines(client.health())
        except SessionopsError as error:
            lines += unreachable_lines(title, error)
    return lines
