"""The route ``/mcp``: who may use it, and how what is behind it comes in with the first request.

Imports nothing of MCP: the library takes over a second and more memory than the whole tracker, and
most deployments are never asked over MCP.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Protocol

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import Route

from tracker.web.app import require
from tracker.web.auth import Forbidden

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.types import Receive, Scope, Send

    from tracker.web.auth import Claims

PATH = "/mcp"

_log = structlog.get_logger("mcp")


class Manager(Protocol):
    """What ``tracker.mcp.server`` makes; its ``run`` may be entered once."""

    def run(self) -> AbstractAsyncContextManager[None]:
        """Open what requests need, and close it."""

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""


class McpMount:
    """An ASGI application that is made when it is first asked.

    Args:
        make: makes it; called in a thread, since it imports for a second.
    """

    def __init__(self, make: Callable[[], Manager]) -> None:
        self._make = make
        self._stop = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Manager] | None = None

    def routes(self) -> list[Route]:
        """Paths and what answers them.

        GET and DELETE belong to sessions with a stream of their own, which this server does not
        have: every request stands alone, so that a restart goes unnoticed. 405 is the answer that
        the specification has for that.
        """
        return [Route(PATH, self, methods=["POST"])]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope.setdefault("state", {})["claims"] = _admit(Request(scope))
        manager = await self._manager()
        # RFC 9110 section 5.5: white space around a value is not part of it. The parser leaves what
        # comes after it, and MCP compares headers with the body.
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        await manager.handle_request({**scope, "headers": headers}, receive, send)

    async def close(self) -> None:
        """Close what was opened, if anything was."""
        self._stop.set()
        if self._keeper is not None:
            await asyncio.wait([self._keeper])

    async def _manager(self) -> Manager:
        if self._ready is None or self._keeper is None or self._keeper.done():
            self._ready = asyncio.get_running_loop().create_future()
            # Not in the context of the request that happens to be the first: what its log lines
            # carry is no business of those that come later.
            self._keeper = asyncio.create_task(self._keep(self._ready), context=Context())
        # A client that goes away while it waits must not take it from the others.
        return await asyncio.shield(self._ready)

    async def _keep(self, ready: asyncio.Future[Manager]) -> None:
        """Open and close in one task, as task groups demand."""
        try:
            manager = await run_in_threadpool(self._make)
            async with manager.run():
                ready.set_result(manager)
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001 -- logged, or told to whoever waits
            if ready.done():
                _log.exception("MCP ended")
            else:
                # Told to each request that waits, and tried again by the next one.
                ready.set_exception(error)


def _admit(request: Request) -> Claims:
    """Tools ask for ``read`` or ``ingest``; each checks its own, here one of them is enough.

    Raises:
        NotAuthorised: no token, or a bad one.
        Forbidden: a token with neither.
    """
    try:
        return require(request, "read")
    except Forbidden:
        return require(request, "ingest")
