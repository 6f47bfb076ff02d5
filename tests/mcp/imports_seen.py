"""A program: serves in its own process and says on standard error when the MCP library is there.

Args: the two homes of a deployment that has keys.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx2

from schemas.places import Places
from schemas.settings import Settings
from tracker.client.tokens import local_token
from tracker.server import build
from tracker.sessions import SessionService
from tracker.web.identity import Identity

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
TAKES = {"Accept": "application/json, text/event-stream"}


def tell(when):
    found = sorted({"mcp", "mcp_types"} & sys.modules.keys())
    print(f"{when}: {' '.join(found) or 'nothing'}", file=sys.stderr)


async def serve(settings, service):
    app = build(service, Identity.of_this_process("session-buddy", settings))
    bearer = {"Authorization": f"Bearer {local_token(settings, 'session-buddy', ['read'])}"}
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=TAKES) as web,
    ):
        tell("at the start")
        await web.get("/health")
        await web.get("/api/v1/sessions", headers=bearer)
        await web.post("/mcp", json=LIST)
        tell("after everything else")
        answer = await web.post("/mcp", json=LIST, headers=bearer)
        tell(f"after {answer.status_code} of /mcp")


if __name__ == "__main__":
    settings = Settings.load(Places(Path(sys.argv[1]), Path(sys.argv[2])), {})
    service = SessionService.open(settings)
    try:
        asyncio.run(serve(settings, service))
    finally:
        service.close()
