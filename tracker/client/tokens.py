"""The token that a command shows to a server: from a token file, or minted from the key ring.

What is minted is not stored: minting takes microseconds, and a token that was never written cannot
leak.
"""

from __future__ import annotations

import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput, NotAuthorised
from schemas.keyring import load_keys, mint
from schemas.settings import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from schemas.settings import Settings

MINUTES = 5
"""How long such a token lives."""

_RENEW_BEFORE = 60
_LONGEST_FILE = 10_000
_TOKEN = re.compile(r"[\x21-\x7e]+")
"""What an HTTP header can carry; anything else is no token of ours."""


def local_token(settings: Settings, audience: str, scopes: Iterable[str], subject: str = "") -> str:
    """A short-lived token.

    Args:
        settings: the settings in force.
        audience: ``session-buddy`` or ``mahavishnu``.
        scopes: ``read``, ``ingest``, ``operate``, ``admin``.
        subject: who asks; empty: the login name of this user.

    Raises:
        InvalidInput: no usable key.
        NotAuthorised: no key, and the server is somewhere else.
    """
    try:
        keys = load_keys(settings, audience)
    except InvalidInput:
        server = audience.replace("-", "_")
        url = settings.text(f"{server}.url")
        if not url:
            raise
        raise NotAuthorised(
            f"there is no token for {url}",
            hint=f"put one into a 0600 file and name it in {BY_NAME[f'{server}.token_file'].env}; "
            f"on the server's host: mahavishnu generate-token --audience {audience}",
        ) from None
    return mint(keys, audience, subject or login_name(), scopes, MINUTES)


def token_source(settings: Settings, audience: str, *scopes: str) -> Callable[[], str]:
    """A function that gives a token for a request.

    With a token file it reads the file each time, so that a rotated token counts at once; else it
    makes a token, and a new one a minute before the last expires.
    """
    if given := from_file(settings, audience):
        return given
    token, renew_at = "", 0.0

    def give() -> str:
        nonlocal token, renew_at
        if time.monotonic() >= renew_at:
            token = local_token(settings, audience, scopes)
            renew_at = time.monotonic() + MINUTES * 60 - _RENEW_BEFORE
        return token

    return give


def from_file(settings: Settings, audience: str) -> Callable[[], str] | None:
    """A function that gives what the token file holds now; None: the settings name none."""
    name = settings.text(f"{audience.replace('-', '_')}.token_file")
    return (lambda: read_token(Path(name), audience)) if name else None


def read_token(path: Path, audience: str) -> str:
    """The token in a file.

    Raises:
        NotAuthorised: no such file, one that others may read, or no token in it.
    """
    hint = f"on the server's host: mahavishnu generate-token --audience {audience}"
    try:
        with path.open(encoding="ascii") as file:
            import os

            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            token = file.read(_LONGEST_FILE).strip()
    except OSError as error:
        message = f"the token file cannot be read: {error.strerror}"
        raise NotAuthorised(message, where=str(path), hint=hint) from None
    except UnicodeDecodeError:
        token = ""
    else:
        if mode & 0o077:
            message = f"others may read this token file (mode {mode:04o})"
            raise NotAuthorised(message, where=str(path), hint=f"chmod 600 {path}")
    if not _TOKEN.fullmatch(token):
        raise NotAuthorised("there is no token in this file", where=str(path), hint=hint)
    return token


def login_name() -> str:
    """The name of the user whose rights this process has; a number where there is no name."""
    import os
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
