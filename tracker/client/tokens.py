"""The token that a command of this user shows to a server, minted from the user's 0600 file.

Nothing is stored: minting takes microseconds, and a token that was never written cannot leak.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from schemas.keyring import load_keys, mint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from schemas.settings import Settings

MINUTES = 5
"""How long such a token lives."""

_RENEW_BEFORE = 60


def local_token(settings: Settings, audience: str, scopes: Iterable[str], subject: str = "") -> str:
    """A short-lived token.

    Args:
        settings: the settings in force.
        audience: ``session-buddy`` or ``mahavishnu``.
        scopes: ``read``, ``ingest``, ``operate``, ``admin``.
        subject: who asks; empty: the login name of this user.

    Raises:
        InvalidInput: no usable key.
    """
    keys = load_keys(settings, audience)
    return mint(keys, audience, subject or login_name(), scopes, MINUTES)


def token_source(settings: Settings, audience: str, *scopes: str) -> Callable[[], str]:
    """A function that gives a token and makes a new one a minute before the last expires."""
    token, renew_at = "", 0.0

    def give() -> str:
        nonlocal token, renew_at
        if time.monotonic() >= renew_at:
            token = local_token(settings, audience, scopes)
            renew_at = time.monotonic() + MINUTES * 60 - _RENEW_BEFORE
        return token

    return give


def login_name() -> str:
    """The name of the user whose rights this process has; a number where there is no name."""
    import os
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
