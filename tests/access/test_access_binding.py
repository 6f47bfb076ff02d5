"""Where a server may listen, and which certificates it refuses before it opens anything."""

from __future__ import annotations

import shutil

import pytest
from certificates import Pair, write_key
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.errors import InvalidInput
from schemas.places import Places
from schemas.settings import Settings
from tracker.web.binding import as_address, binding, is_loopback

CERT = {"SESSION_BUDDY_TLS_CERT": "/etc/tls/cert.pem", "SESSION_BUDDY_TLS_KEY": "/etc/tls/key.pem"}


def bound(**environ):
    settings = Settings.load(Places.of_this_user({"HOME": "/nowhere"}), environ)
    return binding(settings, "session-buddy")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_needs_no_tls(host):
    assert bound(SESSION_BUDDY_HOST=host).cert is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "fd00::1", "tracker.example"])
class TestBeyondLoopback:
    def test_clear_text_is_refused_with_what_to_do(self, host):
        with pytest.raises(InvalidInput) as caught:
            bound(SESSION_BUDDY_HOST=host)
        told = str(caught.value)
        assert "$SESSION_BUDDY_HOST: " in told
        assert "not an address of loopback" in told
        assert "SESSION_BUDDY_TLS_CERT and SESSION_BUDDY_TLS_KEY" in told

    def test_a_certificate_opens_it(self, host):
        assert bound(SESSION_BUDDY_HOST=host, **CERT).opened_by == ""

    def test_an_opt_out_opens_it_and_is_remembered(self, host):
        found = bound(SESSION_BUDDY_HOST=host, SESSION_BUDDY_TLS_INSECURE="true")
        assert found.opened_by == "$SESSION_BUDDY_TLS_INSECURE"


@pytest.mark.parametrize("left_out", CERT)
def test_certificate_and_key_come_together(left_out):
    given = {name: value for name, value in CERT.items() if name != left_out}
    with pytest.raises(InvalidInput, match=f"set {left_out} too"):
        bound(**given)


def test_the_servers_are_bound_apart():
    settings = Settings.load(Places.of_this_user({"HOME": "/nowhere"}), CERT)
    assert binding(settings, "mahavishnu").cert is None


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("127.0.0.1.evil.example", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_an_ipv4_client_of_an_ipv6_socket_is_known_for_what_it_is(host, loopback):
    assert is_loopback(host) is loopback


def test_a_name_is_no_address():
    assert as_address("tracker.example") is None


FAULTS = {
    "no certificate file": ("certificate cannot be read: No such file", "docs/access.md"),
    "no key file": ("key cannot be read: No such file", "docs/access.md"),
    "a folder": ("certificate cannot be read: Is a directory", "docs/access.md"),
    "not PEM": ("there is no certificate in this file", "PEM"),
    "another key": ("this key does not belong to the certificate", "PEM"),
    "a key with a passphrase": ("this key cannot be used", "without a passphrase"),
    "a key that others may read": ("others may read this key (mode 0644)", "chmod 600"),
}


def break_it(pair, fault, folder):
    pair = Pair(folder / "cert.pem", folder / "key.pem")
    if fault == "no certificate file":
        pair.cert.unlink()
    elif fault == "no key file":
        pair.key.unlink()
    elif fault == "a folder":
        pair.cert.unlink()
        pair.cert.mkdir()
    elif fault == "not PEM":
        pair.cert.write_bytes(b"\x30\x82\xff")
    elif fault == "a key that others may read":
        pair.key.chmod(0o644)
    else:
        passphrase = b"a passphrase" if "passphrase" in fault else b""
        write_key(pair.key, ec.generate_private_key(ec.SECP256R1()), passphrase)
    return pair


@pytest.mark.parametrize("fault", FAULTS)
def test_a_certificate_that_cannot_be_used_is_refused_at_the_start(
    tracker, authority, address, tmp_path, fault
):
    good = authority.sign(address)
    shutil.copy2(good.cert, tmp_path / "cert.pem")
    shutil.copy2(good.key, tmp_path / "key.pem")
    made = tracker(break_it(good, fault, tmp_path))
    done = made.run("mcp", "start", "--foreground")
    message, hint = FAULTS[fault]
    assert done.returncode == 2
    assert message in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert message in made.log()
    assert not made.settings.database.exists()


def test_a_server_with_a_wrong_setting_can_still_be_stopped(tracker):
    """The setting may have been changed while it ran."""
    made = tracker(SESSION_BUDDY_HOST="127.0.0.1").start()
    done = made.run("mcp", "stop", SESSION_BUDDY_HOST="0.0.0.0")
    assert (done.returncode, made.process()) == (0, None), done.stderr


class TestOptOut:
    def test_is_logged_and_shown_and_serves(self, tracker, shell):
        made = tracker(SESSION_BUDDY_TLS_INSECURE="true").start()
        assert 'event="tokens cross the network in clear"' in made.log()
        assert "by=$SESSION_BUDDY_TLS_INSECURE" in made.log()
        health = made.run("health")
        assert "- TLS: off\n  opened by $SESSION_BUDDY_TLS_INSECURE" in health.stdout
        elsewhere = shell(made, made.token("read"), SESSION_BUDDY_TLS_INSECURE="true")
        assert elsewhere.run("list-sessions").returncode == 0

    def test_of_the_server_is_not_that_of_the_client(self, tracker, shell):
        made = tracker(SESSION_BUDDY_TLS_INSECURE="true").start()
        before = made.log()
        done = shell(made, made.token("read")).run("list-sessions")
        assert done.returncode == 2
        assert "a token would go there in clear" in done.stderr
        assert made.log() == before
