"""The key ring file, and the tokens that are signed with it (RFC 7519, guide 1.3).

Both ends need this: a command mints a token from the 0600 file of its user, a server checks it.
Signing is done here with the standard library, because PyJWT imports ``cryptography`` and costs a
short command 130 ms; checking, where the danger lies (RFC 8725), is PyJWT's, in
``tracker.web.auth``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from schemas.settings import Settings

SECRET_SETTINGS = {
    "session-buddy": "session_buddy.secret",
    "mahavishnu": "mahavishnu.auth_secret",
}
"""The audiences, and the setting that overrides the key ring for each."""

SCOPES = ("read", "ingest", "operate", "admin", "metrics")
ISSUER = "sessionops"

_DIGESTS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_MINIMUM_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_PLACEHOLDERS = ("change-me", "changeme", "your-secret", "your-32-char", "example-secret")
_DISTINCT_CHARACTERS = 8
_HINT = "make real ones with: invoke secret.generate"


@dataclass(frozen=True, slots=True)
class Key:
    """One signing key. Its secret is never shown by ``repr``."""

    kid: str
    secret: str = field(repr=False)
    created: str = ""
    status: Literal["current", "previous"] = "current"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one audience: one signs, those before it are still believed for a while."""

    audience: str
    algorithm: str
    keys: tuple[Key, ...]

    @property
    def current(self) -> Key:
        """The key that signs."""
        return next(key for key in self.keys if key.status == "current")

    def secret(self, kid: str) -> str | None:
        """The secret of a key, or None: no such key."""
        return next((key.secret for key in self.keys if key.kid == kid), None)


def load_keys(settings: Settings, audience: str) -> KeyRing:
    """The keys of an audience, from its secret setting or else from the key ring file.

    Args:
        settings: the settings in force.
        audience: ``session-buddy`` or ``mahavishnu``.

    Raises:
        InvalidInput: no key, a short or placeholder secret, a file that others may read.
    """
    algorithm = settings.text("mahavishnu.auth_algorithm")
    name = SECRET_SETTINGS[audience]
    if secret := settings.text(name):
        check_secret(secret, algorithm, settings.source(name))
        return KeyRing(audience, algorithm, (Key("env", secret),))
    path = settings.places.keyring
    keys = _read_keys(path, audience)
    for key in keys:
        check_secret(key.secret, algorithm, f"{path} key {key.kid}")
    return KeyRing(audience, algorithm, keys)


def check_secret(secret: str, algorithm: str, where: str) -> None:
    """Refuse a secret that is too short for its algorithm or that somebody could guess.

    Raises:
        InvalidInput: the secret itself is not quoted.
    """
    plain = secret.casefold()
    least = _MINIMUM_BYTES[algorithm]
    if any(placeholder in plain for placeholder in _PLACEHOLDERS) or plain[:1] == "<":
        raise InvalidInput("this secret is a placeholder", where=where, hint=_HINT)
    if len(secret.encode()) < least:
        message = f"this secret has {len(secret.encode())} bytes; {algorithm} needs {least} or more"
        raise InvalidInput(message, where=where, hint=_HINT)
    if len(set(secret)) < _DISTINCT_CHARACTERS or secret in (secret + secret)[1:-1]:
        raise InvalidInput("this secret repeats itself", where=where, hint=_HINT)


def _read_keys(path: Path, audience: str) -> tuple[Key, ...]:
    try:
        content = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        raise InvalidInput(
            "there is no key to sign tokens with", where=str(path), hint=_HINT
        ) from None
    except OSError as error:
        message = f"the key ring cannot be read: {error.strerror}"
        raise InvalidInput(message, where=str(path)) from None
    if mode & 0o077:
        message = f"others may read this key ring (mode {mode:04o})"
        raise InvalidInput(message, where=str(path), hint=f"chmod 600 {path}")
    try:
        entries = json.loads(content)["keys"][audience]
        keys = tuple(
            Key(entry["kid"], entry["secret"], entry.get("created", ""), entry["status"])
            for entry in entries
        )
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(
            f"this is not a key ring with keys of {audience}", where=str(path), hint=_HINT
        ) from None
    if sum(key.status == "current" for key in keys) != 1:
        message = f"{audience} needs exactly one current key"
        raise InvalidInput(message, where=str(path), hint="invoke secret.rotate")
    return keys


def new_keyring(now: datetime) -> dict[str, Any]:
    """The content of a new key ring: one key of 64 characters for each audience."""
    return {
        "version": 1,
        "keys": {audience: [new_key(now)] for audience in SECRET_SETTINGS},
    }


def new_key(now: datetime) -> dict[str, str]:
    """A new current key, as it stands in the file."""
    return {
        "kid": f"{now:%Y%m%d}-{secrets.token_hex(4)}",
        "secret": secrets.token_urlsafe(48),
        "created": now.isoformat(timespec="seconds"),
        "status": "current",
    }


def fingerprint(secret: str) -> str:
    """What may be shown of a secret: 12 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def mint(keys: KeyRing, audience: str, subject: str, scopes: Iterable[str], minutes: float) -> str:
    """A signed token (JWS compact form, RFC 7515).

    Args:
        keys: the keys of the audience.
        audience: the server that it is for.
        subject: who it is for.
        scopes: what it allows, of ``SCOPES``.
        minutes: until it expires.

    Raises:
        InvalidInput: an unknown scope, no subject, or no time to live.
    """
    wanted = list(scopes)
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        message = f"there is no scope {', '.join(unknown)}"
        raise InvalidInput(message, hint=f"scopes are {', '.join(SCOPES)}")
    if not subject or minutes <= 0:
        raise InvalidInput("a token needs a subject and a time to live")
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "sub": subject,
        "iat": now,
        "exp": now + round(minutes * 60),
        "jti": secrets.token_urlsafe(12),
        "scope": " ".join(wanted),
    }
    return _sign(claims, keys.current, keys.algorithm)


def _sign(claims: dict[str, Any], key: Key, algorithm: str) -> str:
    header = {"alg": algorithm, "typ": "JWT", "kid": key.kid}
    signed = b".".join(
        _base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)
    )
    signature = hmac.digest(key.secret.encode(), signed, _DIGESTS[algorithm])
    return (signed + b"." + _base64url(signature)).decode()


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
