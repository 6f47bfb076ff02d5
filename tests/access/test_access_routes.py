"""Who may ask for what: names, addresses, scopes; and what is left of those who may not."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

import pytest

from orchestrator.server import build as build_mahavishnu
from schemas.keyring import SCOPES
from schemas.places import Places
from schemas.settings import Settings
from tracker.server import build as build_tracker
from tracker.sessions import SessionService
from tracker.web.identity import Identity

ACCESS = Path(__file__).resolve().parents[2] / "docs" / "access.md"
KEY = secrets.token_urlsafe(48)

DOCUMENTED = re.compile(r"^\| `([A-Z]+) (/\S*)` \| (.+) \|$", re.MULTILINE)
PARTS = {"{session_id}": "1ngchmke9mpmy91e", "{what}": "sessions"}


def documented(title):
    """The table of docs/access.md that begins with this title: scopes by method and path."""
    table = ACCESS.read_text().split(f"| {title} | scope |")[1].split("\n\n")[0]
    return {
        (method, path): frozenset(re.findall(r"`(\w+)`", scopes))
        for method, path, scopes in DOCUMENTED.findall(table)
    }


TRACKER = documented("tracker")
CLOSED = [row for row in TRACKER if row != ("GET", "/health")]


def routes(app):
    return {
        (method, route.path)
        for route in app.routes
        for method in (getattr(route, "methods", None) or {"POST"}) - {"HEAD"}
    }


def test_every_route_of_the_tracker_is_in_the_table(tmp_path):
    settings = Settings.load(Places(tmp_path / "m", tmp_path / "b"), {"SESSION_BUDDY_SECRET": KEY})
    service = SessionService.open(settings, wait=0)
    try:
        app = build_tracker(service, Identity.of_this_process("session-buddy", settings))
    finally:
        service.close()
    assert routes(app) == set(TRACKER)


def test_every_route_of_mahavishnu_is_in_the_table(tmp_path):
    environ = {"MAHAVISHNU_AUTH_SECRET": KEY}
    app = build_mahavishnu(Settings.load(Places(tmp_path / "m", tmp_path / "b"), environ))
    assert routes(app) == set(documented("mahavishnu"))


@pytest.mark.parametrize(("method", "path"), CLOSED)
class TestRoutes:
    @pytest.fixture
    def ask(self, shared, method, path):
        for name, value in PARTS.items():
            path = path.replace(name, value)

        def ask(token=""):
            status, body = shared.request(path, token=token, method=method)
            return status, json.loads(body) if status in {401, 403} else {}

        return ask

    def test_a_token_is_needed_from_elsewhere(self, ask):
        status, answer = ask()
        assert (status, answer["error"]) == (401, "this needs a token")
        assert answer["hint"] == (
            "make a token with: mahavishnu generate-token --audience session-buddy"
        )
        assert set(answer) == {"error", "hint", "request_id"}

    def test_no_other_scope_opens_it(self, shared, ask, method, path):
        for scope in set(SCOPES) - TRACKER[method, path]:
            assert (scope, ask(shared.token(scope))[0]) == (scope, 403)

    def test_a_wrong_token_is_a_401_with_our_body(self, shared, ask):
        head, payload, signature = shared.token("admin").split(".")
        for wrong in ("x", f"{head}.{payload}.", f"{head}.{payload}.{signature[::-1]}"):
            status, answer = ask(wrong)
            assert status == 401
            assert answer["error"].startswith("the token is not valid")


@pytest.mark.parametrize("path", [path for method, path in CLOSED if method == "GET"])
def test_its_own_scope_opens_what_is_read(shared, path):
    asked = path.replace("{session_id}", PARTS["{session_id}"]).replace("{what}", "sessions")
    for scope in TRACKER["GET", path]:
        assert shared.request(asked, token=shared.token(scope))[0] in {200, 400, 404}


def test_health_needs_no_token(shared):
    assert shared.request("/health")[0] == 200


class TestMetrics:
    def test_need_no_token_from_loopback(self, shared):
        assert shared.request("/metrics", "127.0.0.1")[0] == 200
        assert shared.request("/metrics", "127.8.9.10")[0] == 200

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
    def test_need_one_through_a_proxy_on_loopback(self, shared, header):
        assert shared.request("/metrics", "127.0.0.1", **{header: "for=10.1.2.3"})[0] == 401

    def test_count_who_was_refused_and_why(self, tracker, authority, address):
        made = tracker(authority.sign(address)).start()
        assert refusals(made) == dict.fromkeys(("missing", "invalid", "expired", "forbidden"), 0)
        made.request("/metrics")
        made.request("/metrics", token="x")
        made.request("/metrics", token="y")
        made.request("/metrics", token=made.token("ingest"))
        assert refusals(made) == {"missing": 1, "invalid": 2, "expired": 0, "forbidden": 1}


def refusals(tracker):
    _, text = tracker.request("/metrics", "127.0.0.1")
    found = re.findall(
        r'^session_buddy_auth_failures_total\{reason="(\w+)"\} (\S+)$', text, re.MULTILINE
    )
    return {reason: float(value) for reason, value in found}


def test_a_refusal_is_logged_without_the_token(shared):
    token = "a-token.that-nobody.may-see"
    shared.request("/api/v1/sessions", token=token)
    assert 'event="not authorised"' in shared.log()
    assert f"client={shared.address} path=/api/v1/sessions" in shared.log()
    assert token not in shared.log()


class TestNames:
    @pytest.mark.parametrize(
        "host",
        ["tracker.example", "TRACKER.example", "sessions.example:443", "10.1.2.3", "localhost"],
    )
    def test_of_the_certificate_and_of_the_settings_are_its_own(self, shared, host):
        assert shared.request("/health", Host=host)[0] == 200

    def test_the_address_that_was_asked_is_its_own(self, shared):
        assert shared.request("/health", Host=f"{shared.address}:{shared.port}")[0] == 200

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "0.0.0.0", "10.1.2.4", "tracker.example.evil.example", "[::1", ""],
    )
    def test_any_other_is_refused(self, shared, host):
        assert shared.request("/health", Host=host)[0] == 421

    def test_a_page_of_another_site_is_refused(self, shared):
        ours, theirs = "https://tracker.example", "https://evil.example"
        assert shared.request("/health", Origin=ours)[0] == 200
        assert shared.request("/health", Origin=theirs)[0] == 403
