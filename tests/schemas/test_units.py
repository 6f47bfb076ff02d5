"""Durations and sizes carry units."""

import pytest

from schemas.errors import InvalidInput
from schemas.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("90s", 90), ("1h30m", 5400), ("7d", 604800), ("1.5m", 90)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("500MB", 500_000_000), ("2 GiB", 2**31), ("12B", 12)])
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["30", "", "s", "5 minutes", "-1s", "٣d"])
def test_a_duration_without_a_known_unit_is_refused(text):
    with pytest.raises(InvalidInput, match="write a number and a unit"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["500", "5 mb", "x"])
def test_a_size_without_a_known_unit_is_refused(text):
    with pytest.raises(InvalidInput, match="write a number and a unit"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "420 ms"), (8.34, "8.3 s"), (125, "2 m 05 s"), (3840, "1 h 04 m")]
)
def test_durations_for_people(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(512, "512 B"), (1_500_000_000, "1.5 GB")])
def test_sizes_for_people(size, text):
    assert format_size(size) == text
