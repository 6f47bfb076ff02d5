"""TLS as it is spoken: who is believed, what a failure tells, and what does no harm."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from certificates import Authority
from deployments import wait_for

from schemas.errors import InvalidInput, Unreachable
from tracker.client.http import ServerClient
from tracker.client.tls import Trust

SILENT = 60
"""Connections that say nothing: more than there are threads in the server."""


def asked(url, **trust):
    with ServerClient(url, trust=Trust(**trust)) as client:
        return client.health()


def test_a_client_elsewhere_believes_its_ca(shared):
    assert asked(shared.url, ca_file=shared.authority.cert).service == "session-buddy"


def test_the_system_does_not_know_a_ca_of_ones_own(shared):
    with pytest.raises(Unreachable) as caught:
        asked(shared.url)
    assert caught.value.hint == "name the CA that signed it: SESSION_BUDDY_CA_FILE"


def test_another_ca_is_not_believed(shared, tmp_path):
    other = Authority(tmp_path / "other").cert
    with pytest.raises(Unreachable) as caught:
        asked(shared.url, ca_file=other)
    assert f"certificate of Session-Buddy on {shared.url}" in caught.value.message
    assert caught.value.hint.startswith(f"{other} is not the CA that signed it")


def test_a_name_that_is_not_in_the_certificate_is_not_believed(shared):
    with pytest.raises(Unreachable) as caught:
        asked(f"https://127.0.0.1:{shared.port}", ca_file=shared.authority.cert)
    assert "not valid for '127.0.0.1'" in caught.value.message
    assert caught.value.hint.endswith("SESSION_BUDDY_URL")


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(shared, tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInput) as caught:
        asked(shared.url, ca_file=path)
    assert caught.value.where == str(path)


class TestOnItsOwnHost:
    def test_exactly_the_certificate_in_the_settings_is_believed(self, shared):
        assert shared.run("health").stdout.splitlines()[-1].startswith("✓ TLS: valid until ")
        assert shared.run("list-sessions").returncode == 0

    def test_a_server_that_has_not_been_restarted_yet_is_recognised(
        self, tracker, authority, address
    ):
        made = tracker(SESSION_BUDDY_HOST="127.0.0.1").start()
        pair = authority.sign(address)
        tls = {"SESSION_BUDDY_TLS_CERT": str(pair.cert), "SESSION_BUDDY_TLS_KEY": str(pair.key)}
        assert "restart it" in made.run("list-sessions", **tls).stderr
        restarted = made.run("mcp", "restart", **tls)
        assert restarted.returncode == 0, restarted.stderr
        assert made.run("list-sessions", **tls).returncode == 0

    def test_another_one_of_the_same_ca_is_not(self, shared, authority, address):
        other = authority.sign(address)
        with pytest.raises(Unreachable) as caught:
            asked(shared.url, cert=other.cert)
        assert caught.value.hint.startswith(f"it shows another certificate than {other.cert}")

    def test_the_ca_behind_it_is_not_believed_for_others(self, shared, authority, tmp_path):
        """A chain file holds the CA too, and the CA may sign anybody's certificate."""
        chain = tmp_path / "chain.pem"
        leaf = authority.sign("somebody.example").cert
        chain.write_bytes(leaf.read_bytes() + authority.cert.read_bytes())
        with pytest.raises(Unreachable):
            asked(shared.url, cert=chain)


def test_a_connection_that_the_server_has_closed_is_opened_again(tracker, authority, address):
    made = tracker(authority.sign(address)).start()
    with ServerClient(made.url, trust=Trust(ca_file=authority.cert)) as client:
        before = client.health().pid
        restarted = made.run("mcp", "restart")
        assert restarted.returncode == 0, restarted.stderr
        assert client.health().pid != before
    # An idle client does not take part in closing, and the server does not wait for it.
    assert "graceful shutdown exceeded" not in made.log()


class TestExpired:
    @pytest.fixture
    def expired(self, tracker, authority, address):
        pair = authority.sign(address, age=timedelta(days=40), life=timedelta(days=30))
        return tracker(pair).start()

    def test_clients_elsewhere_refuse_it_and_say_so(self, expired):
        with pytest.raises(Unreachable) as caught:
            asked(expired.url, ca_file=expired.authority.cert)
        assert "certificate has expired" in caught.value.message
        assert "renew the certificate on the server" in caught.value.hint

    def test_the_host_itself_goes_on_and_says_what_is_wrong(self, expired):
        done = expired.run("health")
        assert done.returncode == 0
        assert "✗ TLS: expired on " in done.stdout
        assert f"renew {expired.settings.text('session_buddy.tls.cert')}" in done.stdout
        assert "level=warning event=certificate is_=" in expired.log()


def test_one_that_expires_soon_is_told_of_before(tracker, authority, address):
    pair = authority.sign(address, age=timedelta(days=85), life=timedelta(days=90))
    assert "✗ TLS: expires on " in tracker(pair).start().run("health").stdout


def test_a_renewed_certificate_is_taken_without_a_restart(tracker, authority, address):
    made = tracker(authority.sign(address)).start()
    settings, pid = made.settings, made.process().pid
    before = ssl.get_server_certificate((address, made.port))
    renewed = authority.sign(address)
    shutil.copy(renewed.key, settings.text("session_buddy.tls.key"))
    shutil.copy(renewed.cert, settings.text("session_buddy.tls.cert"))
    after = ssl.get_server_certificate((address, made.port))
    assert before != after == renewed.cert.read_text()
    assert asked(made.url, ca_file=authority.cert).pid == pid
    assert made.run("list-sessions").returncode == 0


def test_a_key_whose_rights_were_put_right_is_taken(tracker, authority, address):
    made = tracker(authority.sign(address)).start()
    key = Path(made.settings.text("session_buddy.tls.key"))
    renewed = authority.sign(address)
    key.write_bytes(renewed.key.read_bytes())
    key.chmod(0o644)
    shutil.copy(renewed.cert, made.settings.text("session_buddy.tls.cert"))
    before = ssl.get_server_certificate((address, made.port))
    assert before != renewed.cert.read_text()
    key.chmod(0o600)
    assert ssl.get_server_certificate((address, made.port)) == renewed.cert.read_text()


def test_a_renewal_that_went_wrong_leaves_the_old_certificate(tracker, authority, address):
    made = tracker(authority.sign(address)).start()
    before = ssl.get_server_certificate((address, made.port))
    shutil.copy(authority.sign(address).cert, made.settings.text("session_buddy.tls.cert"))
    assert ssl.get_server_certificate((address, made.port)) == before
    assert 'event="certificate not taken"' in made.log()


class TestTheWrongLanguage:
    def test_http_to_a_tls_port(self, shared):
        with pytest.raises(Unreachable) as caught:
            asked(f"http://127.0.0.1:{shared.port}")
        assert "write https://" in caught.value.hint

    def test_tls_to_a_plain_port(self, tracker):
        made = tracker(SESSION_BUDDY_HOST="127.0.0.1").start()
        with pytest.raises(Unreachable) as caught:
            asked(f"https://127.0.0.1:{made.port}")
        assert caught.value.message.startswith("TLS of Session-Buddy on https://")
        assert "write http://" in caught.value.hint
        assert asked(f"http://127.0.0.1:{made.port}").status == "healthy"

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
    @pytest.mark.parametrize(("version", "taken"), [("TLSv1_1", False), ("TLSv1_2", True)])
    def test_an_outdated_version_of_tls(self, shared, version, taken):
        context = ssl.create_default_context(cafile=shared.authority.cert)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        connection = http.client.HTTPSConnection(shared.address, shared.port, context=context)
        with (
            contextlib.closing(connection),
            contextlib.nullcontext() if taken else pytest.raises(ssl.SSLError),
        ):
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200

    def test_the_log_stays_readable(self, shared):
        assert "Traceback" not in shared.log()


def test_connections_that_never_finish_their_handshake_hold_nobody_up(tracker, authority, address):
    made = tracker(authority.sign(address)).start()
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # the beginning of a ClientHello
    with contextlib.ExitStack() as stack:
        for number in range(SILENT):
            silent = stack.enter_context(socket.create_connection((address, made.port)))
            silent.sendall(hello if number % 2 else b"")
        assert asked(made.url, ca_file=authority.cert).status == "healthy"
        process = made.process()
        assert made.run("mcp", "stop").returncode == 0
        wait_for(lambda: not process.is_running())


def test_an_ipv6_socket_serves_ipv4_clients_too(tracker, authority, address):
    made = tracker(authority.sign(address), SESSION_BUDDY_HOST="::").start()
    assert asked(made.url, ca_file=authority.cert).status == "healthy"
    assert made.request("/metrics", "127.0.0.1")[0] == 200
    assert made.request("/metrics")[0] == 401
