"""A session's events as a person would tell them, and the patience to wait for them."""

from __future__ import annotations

import time

import pytest

PATIENCE = 20.0
"""Seconds to wait for what is certain to come."""

START, END = ("session_start", ""), ("session_end", "")


def told(session):
    """The events of a session as (type, text)."""
    return [(event["event_type"], event["data"].get("text", "")) for event in session["events"]]


def commands(*texts):
    """A whole session in which these statements were run."""
    return [START, *(("command", text) for text in texts), END]


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail(f"waited {PATIENCE:g} s in vain for {what}")
