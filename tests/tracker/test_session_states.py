"""What events make of a session, as a table: no database, no clock."""

from __future__ import annotations

import pytest
from tracker_events import NINE, make_event

from tracker.store.rows import event_rows
from tracker.store.states import SessionState, advance, bucket, gains

END = "session_end"

CASES = {
    # name: (status before, events, status, commands, errors, exit code)
    "a start alone": ("active", [("session_start", {})], "active", 0, 0, None),
    "a command": ("active", [("command", {"exit_code": 0})], "active", 1, 0, None),
    "a failed command is an error": (
        "active",
        [("command", {"exit_code": 2})],
        "active",
        1,
        1,
        None,
    ),
    "an error that no command made": ("active", [("error", {})], "active", 0, 1, None),
    "a failed step is no command": ("active", [("step", {"exit_code": 1})], "active", 0, 1, None),
    "a checkpoint and a gap count as neither": (
        "active",
        [("checkpoint", {}), ("gap", {})],
        "active",
        0,
        0,
        None,
    ),
    "an end with 0": ("active", [(END, {"exit_code": 0})], "ended", 0, 0, 0),
    "an end that says nothing": ("active", [(END, {})], "ended", 0, 0, None),
    "an end with another code": ("active", [(END, {"exit_code": 143})], "failed", 0, 0, 143),
    "a crash": ("active", [(END, {"data": {"reason": "crash"}})], "failed", 0, 0, None),
    "a command after the end still counts": (
        "active",
        [(END, {"exit_code": 0}), ("command", {"exit_code": 1})],
        "ended",
        1,
        1,
        0,
    ),
    "a second end changes nothing": (
        "active",
        [(END, {"exit_code": 0}), (END, {"exit_code": 9})],
        "ended",
        0,
        0,
        0,
    ),
    "a late event revives": ("abandoned", [("checkpoint", {})], "active", 0, 0, None),
    "a late end ends": ("abandoned", [(END, {"exit_code": 0})], "ended", 0, 0, 0),
}


def a_state(status="active", session_type="admin_shell"):
    return SessionState(
        session_id="s",
        component="mahavishnu",
        session_type=session_type,
        start_time=event_rows([make_event("s")], NINE)[0].timestamp,
        status=status,
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_events_bring_a_session_forward(case):
    before, events, status, commands, errors, exit_code = case
    state = a_state(before)
    advance(state, event_rows([make_event("s", kind, **more) for kind, more in events], NINE))
    assert (state.status, state.command_count, state.error_count) == (status, commands, errors)
    assert state.exit_code == exit_code
    assert state.event_count == len(events)


def test_the_client_s_own_clock_measures_a_session_when_it_says_so():
    # A wall clock that is set back in the middle of a session would make it negative.
    state = a_state()
    advance(state, event_rows([make_event("s", END, at=-3, duration_seconds=12.5)], NINE))
    assert state.duration_seconds == 12.5


def test_without_it_the_times_of_start_and_end_do():
    state = a_state()
    advance(state, event_rows([make_event("s", END, at=90)], NINE))
    assert state.duration_seconds == 90.0


@pytest.mark.parametrize(
    ("status", "new", "was_final", "session_type", "expected"),
    [
        ("active", True, False, "admin_shell", {("sessions", "mahavishnu"): 1}),
        ("active", False, False, "admin_shell", {}),
        ("ended", False, True, "admin_shell", {}),
        (
            "ended",
            False,
            False,
            "admin_shell",
            {("session_duration_bucket", "60"): 1, ("session_duration_sum", ""): 20.0},
        ),
        (
            "failed",
            True,
            False,
            "runbook",
            {
                ("sessions", "mahavishnu"): 1,
                ("session_duration_bucket", "60"): 1,
                ("session_duration_sum", ""): 20.0,
                ("sessions_failed", ""): 1,
            },
        ),
        ("failed", True, False, "acceptance", {}),
    ],
)
def test_what_the_metrics_gain(status, new, was_final, session_type, expected):
    state = a_state(status, session_type)
    state.duration_seconds = 20.0
    gained = gains(state, new=new, was_final=was_final)
    assert {(metric, label): value for metric, label, value in gained} == expected


@pytest.mark.parametrize(
    ("seconds", "label"), [(0, "1"), (1, "1"), (1.01, "5"), (86400, "86400"), (86401, "+Inf")]
)
def test_a_duration_falls_into_the_first_bucket_that_holds_it(seconds, label):
    assert bucket(seconds) == label
