"""What a deploy writes into ``.mcp.json`` is all that a client needs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from mcp import Client, StdioServerParameters

from tests.deploy.conftest import CHECKOUT


def test_a_client_that_knows_nothing_but_the_entry_reaches_the_tracker(broken):
    written = Path(broken.environ["DEPLOY_PROJECT"]) / ".mcp.json"
    entry = json.loads(written.read_text())["mcpServers"]["session-buddy"]
    # The library passes on HOME, PATH and the like, and nothing else of this process.
    parameters = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=entry["env"]
    )

    async def asked():
        async with Client(parameters) as client:
            health = await client.call_tool("health_check", {})
            listed = await client.call_tool("list_sessions", {"limit": 1000})
        return health.structured_content, listed.structured_content

    health, listed = asyncio.run(asked())
    assert health["release"] == broken.current
    assert {session["session_id"] for session in listed["sessions"]} == broken.sessions()


def test_the_entry_holds_no_secret(broken):
    written = Path(broken.environ["DEPLOY_PROJECT"]) / ".mcp.json"
    keys = json.loads(broken.places.keyring.read_text())["keys"]
    secrets = [key["secret"] for audience in keys.values() for key in audience]
    assert secrets
    assert not any(secret in written.read_text() for secret in secrets)


def test_a_release_carries_the_folder_for_the_published_emitters(broken):
    carried = broken.places.current / "ops" / "compat"
    for file in ("pyproject.toml", "session_buddy/__main__.py", "session_buddy/server.py"):
        assert (carried / file).read_text() == (CHECKOUT / "compat" / file).read_text()
