"""Who may ask for what: names, addresses, scopes; and what is left of those who may not."""

from __future__ import annotations

import json
import re

import pytest

SCOPES = ("read", "ingest", "operate", "admin", "metrics")
ROUTES = {
    "/metrics": {"metrics", "read"},
    "/api/v1/sessions": {"read"},
    "/api/v1/events": {"read"},
    "/api/v1/analytics/sessions": {"read"},
}


@pytest.mark.parametrize("path", ROUTES)
class TestRoutes:
    def test_a_token_is_needed_from_elsewhere(self, shared, path):
        status, body = shared.request(path)
        answer = json.loads(body)
        assert (status, answer["error"]) == (401, "this needs a token")
        assert answer["hint"] == (
            "make a token with: mahavishnu generate-token --audience session-buddy"
        )
        assert set(answer) == {"error", "hint", "request_id"}

    @pytest.mark.parametrize("scope", SCOPES)
    def test_each_scope_opens_its_own(self, shared, path, scope):
        status, _ = shared.request(path, token=shared.token(scope))
        assert status == (200 if scope in ROUTES[path] else 403)

    def test_a_wrong_token_is_a_401_with_our_body(self, shared, path):
        good = shared.token("admin")
        head, payload, signature = good.split(".")
        for wrong in ("x", f"{head}.{payload}.", f"{head}.{payload}.{signature[::-1]}"):
            status, body = shared.request(path, token=wrong)
            assert status == 401
            assert json.loads(body)["error"].startswith("the token is not valid")


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
