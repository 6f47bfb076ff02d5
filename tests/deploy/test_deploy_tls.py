"""A whole deployment that other hosts may reach: every check in it goes over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificates import Authority

from features.deployment import take_down, temporary
from tracker.client.servers import mahavishnu, session_buddy

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    root = tmp_path_factory.mktemp("beyond loopback")
    pair = Authority(root / "ca").sign("tracker.example")
    made = temporary(root, CHECKOUT)
    for prefix in ("SESSION_BUDDY", "MAHAVISHNU"):
        made.environ |= {
            f"{prefix}_HOST": "0.0.0.0",
            f"{prefix}_TLS_CERT": str(pair.cert),
            f"{prefix}_TLS_KEY": str(pair.key),
        }
    yield made
    take_down(made)


def test_deploys_twice_and_passes_its_own_scenarios(deployment):
    first = deployment.run("invoke deploy", timeout=600)
    assert first.exit_code == 0, first
    clients = [session_buddy(deployment.settings), mahavishnu(deployment.settings)]
    assert [client.base_url[:8] for client in clients] == ["https://"] * 2
    before = [client.health().pid for client in clients]
    second = deployment.run("invoke deploy", timeout=600)
    assert second.exit_code == 0, second
    assert "nothing changed" in second.stdout
    assert [client.health().pid for client in clients] == before
    verified = deployment.run("invoke verify", timeout=300)
    assert verified.exit_code == 0, verified
