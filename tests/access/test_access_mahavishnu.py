"""The mahavishnu server from elsewhere: the same rules, and a token of its own."""

from __future__ import annotations

import pytest
from access_hosts import MAHAVISHNU, put_token, run
from deployments import unused_port


@pytest.fixture(scope="module")
def both(make_tracker, authority, address, tmp_path_factory):
    """Both servers of a deployment, on every address of this machine with TLS."""
    pair = authority.sign(address)
    made = make_tracker(
        tmp_path_factory.mktemp("both"),
        pair,
        MAHAVISHNU_HOST="0.0.0.0",
        MAHAVISHNU_PORT=str(unused_port()),
        MAHAVISHNU_TLS_CERT=str(pair.cert),
        MAHAVISHNU_TLS_KEY=str(pair.key),
        MAHAVISHNU_REPOS="/srv/one",
    ).start()
    started = made.run("mcp", "start", program=MAHAVISHNU)
    assert started.returncode == 0, started.stderr
    yield made
    made.run("mcp", "stop", program=MAHAVISHNU)
    made.kill()


def test_each_says_how_the_other_is(both):
    health = both.run("mcp", "health", program=MAHAVISHNU)
    assert health.returncode == 0, health.stdout
    assert "✓ Session tracking: enabled" in health.stdout
    assert "✓ TLS: valid until " in health.stdout


def test_a_command_elsewhere_shows_the_token_of_its_file(both, shell, tmp_path):
    port = both.settings.count("mahavishnu.port")
    elsewhere = shell(
        both,
        MAHAVISHNU_URL=f"https://{both.address}:{port}",
        MAHAVISHNU_CA_FILE=str(both.authority.cert),
    )
    refused = run(MAHAVISHNU, ["list-repos"], elsewhere.environ)
    assert (refused.returncode, "401 Unauthorized" in refused.stderr) == (4, True)
    token = tmp_path / "mahavishnu-token"
    put_token(token, both.run("generate-token", program=MAHAVISHNU).stdout.strip())
    listed = run(
        MAHAVISHNU, ["list-repos"], {**elsewhere.environ, "MAHAVISHNU_TOKEN_FILE": str(token)}
    )
    assert (listed.returncode, "/srv/one" in listed.stdout) == (0, True), listed.stderr
