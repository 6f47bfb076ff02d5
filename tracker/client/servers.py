"""Clients of the two servers of this deployment, as the settings name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.client.http import ServerClient
from tracker.client.tls import Trust
from tracker.client.tokens import token_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.settings import Settings


def session_buddy(settings: Settings, *scopes: str, timeout: float = 10.0) -> ServerClient:
    """A client of the tracker, with a token for these scopes."""
    return ServerClient(
        settings.tracker_url,
        token_source(settings, "session-buddy", *scopes),
        timeout,
        trust=Trust.of(settings, "session_buddy"),
    )


def mahavishnu(settings: Settings, *scopes: str, timeout: float = 10.0) -> ServerClient:
    """A client of the mahavishnu server, with a token for these scopes."""
    return mahavishnu_with(settings, token_source(settings, "mahavishnu", *scopes), timeout)


def mahavishnu_with(
    settings: Settings, token: Callable[[], str] | None, timeout: float = 10.0
) -> ServerClient:
    """A client of the mahavishnu server that shows the tokens that it is given, or none."""
    return ServerClient(
        settings.mahavishnu_url,
        token,
        timeout,
        name="Mahavishnu",
        start_with="mahavishnu mcp start",
        trust=Trust.of(settings, "mahavishnu"),
    )
