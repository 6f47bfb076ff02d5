"""What the tests of access start from: a CA, trackers that it certified, and shells elsewhere."""

from __future__ import annotations

import os

import psutil
import pytest
from access_hosts import Shell, Tracker, put_token
from certificates import Authority
from deployments import deployment


@pytest.fixture(scope="session")
def address():
    """An address of this machine that is not loopback: who comes by it is foreign."""
    up = {name for name, found in psutil.net_if_stats().items() if found.isup}
    for name, found in psutil.net_if_addrs().items():
        for each in found:
            if name in up and each.family.name == "AF_INET" and not each.address.startswith("127."):
                return each.address
    line = (
        "needs an address besides loopback: ip link add d0 type dummy && "
        "ip addr add 10.9.8.7/32 dev d0 && ip link set d0 up"
    )
    return pytest.fail(line) if os.environ.get("CI") == "true" else pytest.skip(line)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="session")
def make_tracker(authority, address):
    """Makes a tracker that is configured and not started; ``pair`` for TLS."""

    def make(root, pair=None, **variables):
        tls = (
            {"SESSION_BUDDY_TLS_CERT": str(pair.cert), "SESSION_BUDDY_TLS_KEY": str(pair.key)}
            if pair
            else {}
        )
        wanted = {"SESSION_BUDDY_HOST": "0.0.0.0", **tls, **variables}
        with pytest.MonkeyPatch.context() as monkeypatch:
            made = deployment(root, monkeypatch, **wanted)
        return Tracker(made.settings, made.environ, authority, address)

    return make


@pytest.fixture
def tracker(make_tracker, tmp_path):
    """As ``make_tracker``, for one test; it is stopped at the end."""
    made = []

    def make(pair=None, **variables):
        made.append(make_tracker(tmp_path / f"tracker-{len(made)}", pair, **variables))
        return made[-1]

    yield make
    for each in made:
        each.kill()


@pytest.fixture(scope="session")
def shared(make_tracker, authority, address, tmp_path_factory):
    """A tracker with TLS on every address of this machine, for tests that leave it as it is."""
    pair = authority.sign(address, "tracker.example")
    made = make_tracker(
        tmp_path_factory.mktemp("shared"), pair, SESSION_BUDDY_NAMES="sessions.example,10.1.2.3"
    ).start()
    yield made
    made.kill()


@pytest.fixture
def shell(tmp_path):
    """Makes the settings of a shell on another host."""

    def make(tracker, token="", **variables):
        home = tmp_path / "elsewhere"
        home.mkdir(exist_ok=True)
        environ = {name: value for name, value in os.environ.items() if "_BUDDY_" not in name}
        environ |= {
            "MAHAVISHNU_HOME": str(home / "m"),
            "SESSION_BUDDY_HOME": str(home / "b"),
            "SESSION_BUDDY_URL": tracker.url,
            "SESSION_BUDDY_CA_FILE": str(tracker.authority.cert),
            "SESSION_BUDDY_TOKEN_FILE": str(home / "token"),
        }
        put_token(home / "token", token)
        return Shell({**environ, **variables})

    return make
