"""What a deploy asks before it changes anything, and how it asks a server that speaks TLS."""

from __future__ import annotations

import shutil

import pytest
from certificates import Pair

from orchestrator.tasks import check, http, service_state
from orchestrator.tasks.fetching import get
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed


@pytest.fixture
def here(monkeypatch):
    """A context on this machine, with the settings of a tracker's deployment."""
    from invoke.context import Context

    def make(tracker, **variables):
        for name, value in {**tracker.environ, **variables}.items():
            monkeypatch.setenv(name, value)
        context = Context()
        scope(context)
        return context

    return make


class TestCertificates:
    def test_are_tried_out_as_the_server_will(self, here, shared):
        assert check.certificates(here(shared)).message == "2 files"

    def test_are_not_needed_on_loopback(self, here, tracker):
        plain = tracker(SESSION_BUDDY_HOST="127.0.0.1")
        assert check.certificates(here(plain)).message == "no TLS"

    def test_a_missing_file_is_named(self, here, shared):
        with pytest.raises(StepFailed, match=r"/nowhere\.pem cannot be read"):
            check.certificates(here(shared, SESSION_BUDDY_TLS_CERT="/nowhere.pem"))

    def test_a_key_of_another_certificate_is_found_before_the_switch(
        self, here, shared, authority, tmp_path
    ):
        other = Pair(authority.sign("other.example").cert, tmp_path / "other.key")
        shutil.copy2(authority.sign("other.example").key, other.key)
        with pytest.raises(InvalidInput, match="does not belong to the certificate"):
            check.certificates(here(shared, SESSION_BUDDY_TLS_KEY=str(other.key)))


def test_the_addresses_are_told_with_what_protects_them(here, shared):
    told = check.settings(here(shared)).message
    assert told == "2 ports with TLS beyond loopback: session-buddy"
    opened = {"SESSION_BUDDY_TLS_CERT": "", "SESSION_BUDDY_TLS_KEY": ""}
    context = here(shared, **opened, SESSION_BUDDY_TLS_INSECURE="yes")
    assert (
        "session-buddy IN CLEAR by $SESSION_BUDDY_TLS_INSECURE" in check.settings(context).message
    )


def test_a_server_of_this_host_is_asked_whatever_its_certificate_is_for(here, shared):
    context = here(shared)
    endpoint = service_state.endpoint_of(context, "session-buddy")
    assert endpoint.url == f"https://127.0.0.1:{shared.port}"
    found = service_state.ask(context, "session-buddy", endpoint)
    assert found is not None
    assert found.pid == shared.process().pid
    assert http.check(context, f"{endpoint.url}/health").outputs["status"] == 200


def test_without_curl_it_is_asked_just_so(here, shared, tmp_path, monkeypatch):
    context = here(shared)
    (tmp_path / "sh").symlink_to(shutil.which("sh"))
    monkeypatch.setenv("PATH", str(tmp_path))
    url = f"https://127.0.0.1:{shared.port}/health"
    assert get(context, url, own=True).status == 200
    assert "CERTIFICATE_VERIFY_FAILED" in get(context, url).error


def test_any_other_certificate_is_checked(here, shared):
    with pytest.raises(StepFailed, match="certificate"):
        http.check(here(shared), f"{shared.url}/health")
