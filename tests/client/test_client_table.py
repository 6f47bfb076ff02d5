"""Tables and lines as a person sees them."""

from __future__ import annotations

import pytest

from schemas.health import Health, Probe
from tracker.client.show import event_outcome, event_text, health_lines, session_table
from tracker.client.table import clock, display_width, shortened, table


def session(**changes):
    made = {
        "session_id": "1ng837k3ae638he4",
        "component": "mahavishnu",
        "session_type": "admin_shell",
        "status": "ended",
        "start_time": "2026-11-23T09:45:12Z",
        "duration_seconds": 135.0,
        "event_count": 12,
    }
    return {**made, **changes}


def test_the_guides_table():
    shown = table(
        ("Session ID", "Component", "Duration", "Events"),
        [("abc123", "mahavishnu", "0:02:15", "12")],
        right={"Events"},
    )
    assert shown == (
        "┌────────────┬────────────┬──────────┬────────┐\n"
        "│ Session ID │ Component  │ Duration │ Events │\n"
        "├────────────┼────────────┼──────────┼────────┤\n"
        "│ abc123     │ mahavishnu │ 0:02:15  │     12 │\n"
        "└────────────┴────────────┴──────────┴────────┘"
    )


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (60, ["Session ID", "Component", "Duration", "Events"]),
        (80, ["Session ID", "Component", "Type", "Status", "Duration", "Events"]),
        (
            120,
            ["Session ID", "Component", "Type", "Status", "Started", "Duration", "Events"],
        ),
    ],
)
def test_a_wide_terminal_shows_more_and_a_narrow_one_never_cuts_an_id(width, titles):
    lines = session_table([session()], width=width).splitlines()
    assert [cell.strip() for cell in lines[1].strip("│").split("│")] == titles
    assert "1ng837k3ae638he4" in lines[3]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= width


def test_of_a_session_that_goes_on_the_duration_is_its_age():
    shown = session_table([session(status="active", duration_seconds=None)], width=80)
    assert ":" in shown.splitlines()[3]
    lost = session_table([session(status="abandoned", duration_seconds=None)], width=80)
    assert ":" not in lost.splitlines()[3]


def test_wide_characters_keep_the_box_in_line():
    rows = [("1", "工作流程" * 20), ("2", "e\u0301" * 10), ("3", "plain")]
    lines = table(("#", "Text"), rows, width=40).splitlines()
    assert {display_width(line) for line in lines} == {40}


def test_control_characters_are_shown_and_not_obeyed():
    shown = table(("#", "Text"), [("1", "\x1b]0;title\x07\x1b[31mred\nnext")])
    assert "\x1b" not in shown
    assert "\\x1b[31mred⏎next" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.4, "0:00:00"), (135, "0:02:15"), (360_000, "100:00:00")],
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [("short", 5, "short"), ("longer", 5, "long…"), ("日本語", 5, "日本…")],
)
def test_shortened(text, width, shown):
    assert shortened(text, width) == shown


def test_health_lines_say_what_to_do():
    probes = (
        Probe("Server", ok=True, value="healthy", hint="not shown"),
        Probe("Database", ok=False, value="locked", hint="restart it"),
        Probe("Search", ok=None, value="off", hint="fetch the model"),
    )
    health = Health("degraded", "1", "x", "r", "c", 1, "", probes)
    assert health_lines(health) == [
        "✓ Server: healthy",
        "✗ Database: locked",
        "  restart it",
        "- Search: off",
        "  fetch the model",
    ]


@pytest.mark.parametrize(
    ("event", "text", "outcome"),
    [
        ({"event_type": "command", "data": {"text": "ps()", "outcome": "ok"}}, "ps()", "ok"),
        ({"event_type": "command", "data": {"text": "x"}, "exit_code": 2}, "x", "exit 2"),
        ({"event_type": "session_end", "data": {}, "exit_code": 0}, "", "ok"),
        (
            {"event_type": "gap", "data": {"dropped": 7, "reason": "the spool is full"}},
            "7 events lost: the spool is full",
            "",
        ),
        (
            {"event_type": "step", "data": {"step": "render", "state": "changed"}},
            "render",
            "changed",
        ),
    ],
)
def test_what_an_event_says(event, text, outcome):
    event = {"exit_code": None, **event}
    assert (event_text(event), event_outcome(event)) == (text, outcome)
