"""Identifiers of sessions and events: short enough to be read out, sorted by time, never twice."""

from __future__ import annotations

import hashlib
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_TIME_LENGTH = 7


def session_identifier() -> str:
    """16 characters: the second in 7, then 45 random bits."""
    return _seconds() + _random(9)


def derived_identifier(second: int, *parts: str) -> str:
    """The identifier of a session that began in a second, the same whenever it is asked for.

    Args:
        second: since 1970.
        parts: what tells the session from all others that began then.
    """
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).digest()
    return _encode(second, _TIME_LENGTH) + _encode(int.from_bytes(digest[:6]), 9)


def event_identifier() -> str:
    """22 characters: the second in 7, then 75 random bits."""
    return _seconds() + _random(15)


def identifier_of(digest: bytes) -> str:
    """16 characters of a hash, for what must have the same id whenever it arrives.

    Args:
        digest: 10 bytes or more.
    """
    return _encode(int.from_bytes(digest[:10]), 16)


def _seconds() -> str:
    return _encode(int(time.time()), _TIME_LENGTH)


def _random(length: int) -> str:
    return _encode(secrets.randbits(5 * length), length)


def _encode(number: int, length: int) -> str:
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(length)))
