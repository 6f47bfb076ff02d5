"""Points in time as people write them after ``--since``: ``24h``, ``2026-11-23``, ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas.errors import InvalidInput
from schemas.units import parse_duration

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def parse_moment(text: str, now: datetime) -> datetime:
    """The UTC time that a text names.

    Args:
        text: a duration before now, such as ``24h`` or ``7d``, or a date or time in ISO 8601;
            without a zone it is this machine's. What lies beyond the calendar is its end.
        now: what a duration counts back from.

    Raises:
        InvalidInput: it is neither.
    """
    try:
        return _in_utc(datetime.fromisoformat(text.strip()))
    except ValueError:
        pass
    try:
        return now.astimezone(UTC) - timedelta(seconds=parse_duration(text))
    except OverflowError:
        return _FIRST
    except InvalidInput:
        raise InvalidInput(
            f"{text!r} is not a time",
            hint="write how long ago (90m, 24h, 7d), or a time (2026-11-23, 2026-11-23T09:00Z)",
        ) from None


def parse_range(text: str, now: datetime) -> datetime:
    """The UTC time at which a range such as ``30d`` began that ends now.

    Raises:
        InvalidInput: it is not a duration, or reaches too far back.
    """
    try:
        return now.astimezone(UTC) - timedelta(seconds=parse_duration(text))
    except OverflowError:
        raise InvalidInput(f"{text!r} reaches too far back") from None


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except (OverflowError, ValueError):  # the latter for a time without a zone
        return _FIRST if moment.year == _FIRST.year else _LAST
