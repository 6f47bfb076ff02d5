"""Durations and sizes as people write them in YAML: ``500ms``, ``30m``, ``2GB``."""

from __future__ import annotations

import re

from schemas.errors import InvalidInput

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
DURATION = r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d|w))+"
"""A duration as a regular expression."""

_DURATION = re.compile(DURATION)
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?B|B)")


def parse_duration(text: str) -> float:
    """Seconds in a duration such as ``90s``, ``1h30m`` or ``500ms``.

    Raises:
        InvalidInput: no unit, or one that is not known.
    """
    if not _DURATION.fullmatch(text.strip()):
        raise InvalidInput(
            f"{text!r} is not a duration",
            hint="write a number and a unit: 500ms, 30s, 5m, 1h30m, 7d",
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def parse_size(text: str) -> int:
    """Bytes in a size such as ``500MB`` (powers of ten) or ``2GiB`` (powers of two).

    Raises:
        InvalidInput: no unit, or one that is not known.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise InvalidInput(f"{text!r} is not a size", hint="write a number and a unit: 500MB, 2GiB")
    return int(float(match[1]) * _BYTES[match[2]])


def format_duration(seconds: float) -> str:
    """Seconds as a person reads them: ``420 ms``, ``8.3 s``, ``2 m 05 s``, ``1 h 04 m``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 -- seconds in a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 -- minutes in an hour
        return f"{minutes} m {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


def format_size(count: float) -> str:
    """Bytes as a person reads them, in powers of ten: ``512 B``, ``1.5 GB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 -- powers of ten, as in parse_size
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
