"""A tracker of a test's own, and the library's clients of it."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
from deployments import COMMAND, Deployment
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tracker.client.tokens import local_token

PATIENCE = 60.0
ACCEPT = {"Accept": "application/json, text/event-stream"}
RELAY = ["mcp", "stdio"]


@dataclass
class Tracker(Deployment):
    """A deployment with the command that starts and stops its server."""

    @property
    def url(self):
        return f"{self.settings.tracker_url}/mcp"

    def token(self, *scopes):
        return local_token(self.settings, "session-buddy", scopes)

    def run(self, *arguments):
        return subprocess.run(
            [str(COMMAND), *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout

    def start(self):
        self.run("mcp", "start")
        return self

    def stop(self):
        self.run("mcp", "stop")

    def post(self, message, *, token=None, **headers):
        """One message as it is, with what a test wants in its head."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.post(self.url, json=message, headers=ACCEPT | bearer | headers, timeout=30)

    def request(self, method, headers, content=b""):
        """Any request to the address of MCP."""
        return httpx2.request(method, self.url, headers=headers, content=content, timeout=30)

    @asynccontextmanager
    async def connected(self, over="http", *, mode="auto", scopes=("read", "ingest")):
        """The library's client, over HTTP or through the relay."""
        if over == "stdio":
            transport = StdioServerParameters(command=str(COMMAND), args=RELAY, env=self.environ)
            async with Client(transport, mode=mode) as client:
                yield client
            return
        head = {"Authorization": f"Bearer {self.token(*scopes)}"}
        async with (
            httpx2.AsyncClient(headers=head, timeout=30) as web,
            Client(streamable_http_client(self.url, http_client=web), mode=mode) as client,
        ):
            yield client

    def call(self, name, arguments=None, **how):
        """What one tool answers."""

        async def call():
            async with self.connected(**how) as client:
                return await client.call_tool(name, arguments or {})

        return asyncio.run(asyncio.wait_for(call(), PATIENCE))

    def answer(self, name, arguments=None, **how):
        """What one tool answers that must succeed."""
        result = self.call(name, arguments, **how)
        assert not result.is_error, result.content
        return result.structured_content
