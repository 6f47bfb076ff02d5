"""Clients of the two servers of this deployment, as the settings name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.client.http import ServerClient
from tracker.client.tokens import token_source

if TYPE_CHECKING:
    from schemas.settings import Settings


def session_buddy(settings: Settings, *scopes: str, timeout: float = 10.0) -> ServerClient:
    """A client of the tracker, with a token for these scopes."""
    return ServerClient(
        settings.tracker_url, token_source(settings, "session-buddy", *scopes), timeout
    )


def mahavishnu(settings: Settings, *scopes: str, timeout: float = 10.0) -> ServerClient:
    """A client of the mahavishnu server, with a token for these scopes."""
    return ServerClient(
        settings.mahavishnu_url,
        token_source(settings, "mahavishnu", *scopes),
        timeout,
        name="Mahavishnu",
        start_with="mahavishnu mcp start",
    )
