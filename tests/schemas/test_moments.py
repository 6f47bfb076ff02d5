"""Points in time as people write them, up to the ends of the calendar."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import InvalidInput
from schemas.moments import parse_moment

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", NOW - timedelta(days=1)),
        ("1d12h", NOW - timedelta(hours=36)),
        ("2026-11-23T09:00Z", NOW),
        ("2026-11-23T09:00:00+23:59", NOW - timedelta(hours=23, minutes=59)),
    ],
)
def test_moments(text, moment):
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["9999999w", "9" * 400 + "w", "0001-01-01T00:00:00+14:00"])
def test_what_lies_before_the_calendar_is_its_begin(text):
    assert parse_moment(text, NOW) == FIRST


def test_what_lies_behind_the_calendar_is_its_end():
    assert parse_moment("9999-12-31T23:59:59-14:00", NOW) == LAST


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize(("text", "year"), [("0001-01-01", 1), ("9999-12-31T23:59", 9999)])
def test_the_first_and_the_last_day_are_days_in_every_zone(monkeypatch, zone, text, year):
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert parse_moment(text, NOW).year == year
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["soon", "", "24", "٣d", "2026-13-01", "0000-01-01"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InvalidInput, match="is not a time"):
        parse_moment(text, NOW)
