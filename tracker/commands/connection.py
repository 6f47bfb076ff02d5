"""How every command reaches the tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.settings import Settings
    from tracker.client.http import ServerClient

API = "/api/v1"


def tracker(settings: Settings, *scopes: str, timeout: float = 10.0) -> ServerClient:
    """A client of the tracker, with a token for these scopes."""
    from tracker.client.servers import session_buddy

    return session_buddy(settings, *scopes, timeout=timeout)
