"""Tokens: who a request comes from, and what it may do (RFC 7519, RFC 8725; guide 1.3, 3 step 7.1).

Shared by both servers. Knows nothing of routes; ``tracker.web.app`` asks it about a header.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt

from schemas.errors import NotAuthorised
from schemas.keyring import (
    ISSUER,
    SCOPES,
    Key,
    KeyRing,
    fingerprint,
    load_keys,
    mint,
    new_keyring,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ISSUER",
    "SCOPES",
    "Claims",
    "Forbidden",
    "Guard",
    "Key",
    "KeyRing",
    "fingerprint",
    "generate_keyring",
    "load_keys",
    "mint",
    "new_keyring",
    "verify",
]

LONGEST_TOKEN = 4096
"""Characters; a longer one is refused before anything looks into it."""

CLOCK_LEEWAY = 5
"""Seconds that two clocks may differ."""

REFUSALS = ("missing", "invalid", "expired", "forbidden")
"""Why a request was not let in, as the metric counts it."""

_REQUIRED = ["exp", "iat", "iss", "aud", "sub", "jti"]
_MAKE = "mahavishnu generate-token"
_REMEMBERED_TOKENS = 256


class Forbidden(NotAuthorised):
    """The token is good and does not allow this."""


class Expired(NotAuthorised):
    """The token was good."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that was checked says."""

    subject: str
    scopes: frozenset[str]
    audience: str
    token_id: str
    expires_at: float


def verify(keys: KeyRing, audience: str, token: str) -> Claims:
    """Check a token: signature, algorithm, key, audience, issuer and times.

    Raises:
        NotAuthorised: with a reason that does not help to guess; the token is not quoted.
    """
    hint = _hint(audience)
    if len(token) > LONGEST_TOKEN:
        raise NotAuthorised("the token is too long", hint=hint)
    try:
        secret = keys.secret(str(jwt.get_unverified_header(token).get("kid", "")))
        if secret is None:
            raise NotAuthorised("the token was signed with a key that is not known", hint=hint)
        payload = jwt.decode(
            token,
            secret,
            algorithms=[keys.algorithm],
            audience=audience,
            issuer=ISSUER,
            leeway=CLOCK_LEEWAY,
            options={"require": _REQUIRED, "strict_aud": True},
        )
    except jwt.ExpiredSignatureError:
        raise Expired("the token has expired", hint=hint) from None
    except (jwt.PyJWTError, RecursionError, ValueError, OverflowError) as error:
        # JSON nested a thousand deep is no PyJWTError. Of the error only the class name is told:
        # its text can quote what an attacker sent.
        reason = type(error).__name__.removesuffix("Error")
        raise NotAuthorised(f"the token is not valid ({reason})", hint=hint) from None
    return _claims(payload)


def _claims(payload: dict[str, Any]) -> Claims:
    subject, token_id, scope = payload["sub"], payload["jti"], payload.get("scope", "")
    if not all(isinstance(value, str) for value in (subject, token_id, scope)) or not subject:
        raise NotAuthorised("the token is not valid (claims)", hint=_hint(payload["aud"]))
    scopes = frozenset(scope.split()) & frozenset(SCOPES)
    return Claims(subject, scopes, payload["aud"], token_id, float(payload["exp"]))


def _hint(audience: str, scope: str = "") -> str:
    words = [_MAKE]
    if audience != "mahavishnu" and scope != "metrics":  # what the command takes by itself
        words += ["--audience", audience]
    return "make a token with: " + " ".join([*words, *(["--scope", scope] if scope else [])])


class Guard:
    """Answers for one server whether a request's ``Authorization`` header allows something.

    Args:
        keys: the keys of this server; None: it asks for no token (``auth_enabled: false``).
        audience: the name of this server.
    """

    def __init__(self, keys: KeyRing | None, audience: str) -> None:
        self._keys = keys
        self._audience = audience
        self._seen: dict[str, Claims] = {}
        self._refused: Counter[str] = Counter()
        self._counting = threading.Lock()

    def refused(self) -> dict[str, int]:
        """How many requests were not let in since the start, for each of ``REFUSALS``."""
        with self._counting:
            return {reason: self._refused[reason] for reason in REFUSALS}

    def check(self, header: str, *scopes: str) -> Claims:
        """Who asks.

        Args:
            header: the value of ``Authorization``.
            scopes: any of them lets it in.

        Raises:
            NotAuthorised: no token, or a bad one.
            Forbidden: the token has none of these scopes.
        """
        if self._keys is None:
            return Claims("anonymous", frozenset(SCOPES), self._audience, "", 0.0)
        kind, _, token = header.partition(" ")
        if kind.casefold() != "bearer" or not token:
            self._count("missing")
            raise NotAuthorised("this needs a token", hint=_hint(self._audience))
        try:
            claims = self._checked(self._keys, token.strip())
        except NotAuthorised as error:
            self._count("expired" if isinstance(error, Expired) else "invalid")
            raise
        if claims.scopes.isdisjoint(scopes):
            self._count("forbidden")
            message = f"this token does not allow {scopes[0]!r}"
            raise Forbidden(message, hint=_hint(self._audience, scopes[0]))
        return claims

    def _count(self, reason: str) -> None:
        with self._counting:
            self._refused[reason] += 1

    def _checked(self, keys: KeyRing, token: str) -> Claims:
        # A check costs 80 us; an emitter sends the same token thousands of times.
        claims = self._seen.get(token)
        if claims is None:
            claims = verify(keys, self._audience, token)
            if len(self._seen) >= _REMEMBERED_TOKENS:
                self._seen.clear()
            self._seen[token] = claims
        elif claims.expires_at + CLOCK_LEEWAY <= time.time():
            self._seen.pop(token, None)
            raise Expired("the token has expired", hint=_hint(self._audience))
        return claims


def generate_keyring(path: Path, *, only_missing: bool = True) -> bool:
    """Write a new key ring, whole and 0600 from the first moment.

    Args:
        path: where it belongs.
        only_missing: leave an existing file alone.

    Returns:
        Whether a file was written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    content = json.dumps(new_keyring(datetime.now(UTC)), indent=2) + "\n"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not only_missing:
            draft.replace(path)
            return True
        try:
            # A link, unlike a rename, fails when somebody else was first.
            path.hardlink_to(draft)
        except FileExistsError:
            return False
        return True
    finally:
        draft.unlink(missing_ok=True)
