"""What the mahavishnu server finds when it looks at itself."""

from __future__ import annotations

import json

import pytest

from orchestrator.adapters import adapters
from orchestrator.health import authentication, session_tracking
from schemas.keyring import load_keys
from schemas.settings import Settings
from tracker.web.auth import Guard


@pytest.fixture
def guard(lone_site):
    return Guard(load_keys(lone_site.settings, "mahavishnu"), "mahavishnu")


def test_authentication_is_enabled_when_it_refuses_and_lets_in(lone_site, guard):
    probe = authentication(lone_site.settings, guard)
    assert (probe.ok, probe.value) == (True, "enabled")


def test_a_guard_that_lets_everybody_in_is_found(lone_site):
    probe = authentication(lone_site.settings, Guard(None, "mahavishnu"))
    assert (probe.ok, probe.value) == (False, "open")


def test_a_key_that_was_changed_after_the_start_is_found(lone_site, guard):
    ring = json.loads(lone_site.places.keyring.read_text())
    [key] = ring["keys"]["mahavishnu"]
    key["secret"], key["kid"] = key["secret"][::-1], "another"
    lone_site.places.keyring.write_text(json.dumps(ring))
    probe = authentication(lone_site.settings, guard)
    assert (probe.ok, probe.value) == (False, "outdated")
    assert "mahavishnu mcp restart" in probe.hint


def test_a_key_ring_that_is_gone_is_found(lone_site, guard):
    lone_site.places.keyring.unlink()
    probe = authentication(lone_site.settings, guard)
    assert (probe.ok, probe.value) == (False, "no usable key")


@pytest.mark.parametrize(
    ("variable", "look"),
    [
        ("MAHAVISHNU_AUTH_ENABLED", lambda settings: authentication(settings, Guard(None, ""))),
        ("MAHAVISHNU_SESSION_ENABLED", session_tracking),
    ],
)
def test_what_is_switched_off_says_by_what(lone_site, variable, look):
    probe = look(Settings.load(environ={**lone_site.environ, variable: "false"}))
    assert (probe.ok, probe.value) == (None, "disabled")
    assert probe.hint == f"switched off by ${variable}"


def test_session_tracking_is_unavailable_without_the_tracker(lone_site):
    probe = session_tracking(lone_site.settings)
    assert (probe.ok, probe.value) == (False, "unavailable")
    assert "session-buddy mcp start" in probe.hint


def test_session_tracking_needs_a_token_that_the_tracker_takes(site):
    assert session_tracking(site.settings).ok
    other = {**site.environ, "SESSION_BUDDY_SECRET": "another key that the tracker was never told"}
    probe = session_tracking(Settings.load(environ=other))
    assert (probe.ok, probe.value) == (False, "unavailable")


@pytest.mark.parametrize(
    ("hosts", "shown"),
    [
        ("here: {connection: local}", "fabric (disabled: the inventory has no SSH host)"),
        ("far: {address: 192.0.2.1}", "fabric (active)"),
        ("far: {adress: 192.0.2.1}", "fabric (failed: "),
    ],
)
def test_fabric_is_used_for_the_hosts_that_need_it(tmp_path, hosts, shown):
    (tmp_path / "inventory.yaml").write_text(f"schema_version: 1\nhosts:\n  {hosts}\n")
    local, fabric = adapters(tmp_path)
    assert str(local) == "local (active)"
    assert str(fabric).startswith(shown)
