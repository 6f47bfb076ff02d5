"""What a narrow terminal shows, and labels that fit their values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tracker.client.show import session_lines
from tracker.client.table import display_width, short_time, table


@pytest.mark.parametrize("width", [80, 50, 45, 40])
def test_a_box_is_never_wider_than_the_screen(width):
    row = ("20261123-100507-deploy", "deploy", "succeeded", "11-23 10:05:07")
    lines = table(("Run", "Runbook", "State", "Started"), [row], width=width).splitlines()
    assert max(map(display_width, lines)) <= width
    assert row[0] in lines[3]


def test_a_time_of_this_year_is_short_and_one_of_another_is_a_date():
    now = datetime.now(UTC).astimezone()
    assert short_time(now.isoformat()) == now.strftime("%m-%d %H:%M:%S")
    assert short_time("2001-06-15T12:00:00+00:00") == "2001-06-15"
    assert short_time(None) == ""


def test_a_duration_has_no_second_unit_in_its_label():
    assert session_lines({"session_id": "s", "duration_seconds": 0.128}) == [
        "session_id  s",
        "duration    128 ms",
    ]
