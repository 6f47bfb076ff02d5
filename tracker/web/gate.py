"""The gate that every request goes through: request id, Host and Origin, body limit, access log.

A plain ASGI callable: at thousands of requests a second each layer of Starlette's middleware shows.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from tracker.web.binding import as_address
from tracker.web.errors import Refused, error_answer

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ROUTINE = frozenset({"/health", "/metrics", "/api/v1/events"})
"""Paths that are asked for all day long; their successes are logged as DEBUG."""

_log = structlog.get_logger("access")


class Gate:
    """Wraps the routes of a server.

    Args:
        app: what is behind the gate.
        hosts: host names that this server answers to, besides those of loopback and the address
            that a request has come to.
        max_body: bytes of the longest body that is read.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = (), max_body: int) -> None:
        self._app = app
        self._hosts = LOOPBACK_NAMES | frozenset(hosts)
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Passage(self._app, scope, receive, send).serve(self._hosts, self._max_body)


class _Passage:
    """One request on its way through."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._scope = scope
        self._receive_below = receive
        self._send_below = send
        self._headers = Headers(scope=scope)
        self._status = 0
        self._began = time.perf_counter()
        asked = self._headers.get("x-request-id", "")
        self._id = asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = self._id

    async def serve(self, hosts: Collection[str], max_body: int) -> None:
        with structlog.contextvars.bound_contextvars(request_id=self._id):
            try:
                _refuse_foreign(self._headers, hosts, self._scope.get("server"))
                _refuse_long(self._headers, max_body)
                await self._app(self._scope, self._limited(max_body), self._send)
            except Refused as error:
                await self._answer(error.status, error.message, error.hint)
            except ClientDisconnect:
                self._status = self._status or 499
            except Exception:  # noqa: BLE001 -- any error of any route ends here
                # The last line of defence: logged whole, answered without a word of it.
                _log.exception("request failed", path=self._scope["path"])
                await self._answer(500, "the server failed", f"look for {self._id} in its log")
            self._report()

    async def _answer(self, status: int, message: str, hint: str) -> None:
        if self._status:
            return  # the head of another answer has left already
        response = error_answer(status, message, self._id, hint=hint)
        await response(self._scope, self._receive_below, self._send)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            MutableHeaders(scope=message)["X-Request-Id"] = self._id
        await self._send_below(message)

    def _limited(self, max_body: int) -> Receive:
        received = 0

        async def receive() -> Message:
            nonlocal received
            message = await self._receive_below()
            received += len(message.get("body", b""))
            if received > max_body:
                raise _too_long(max_body)
            return message

        return receive

    def _report(self) -> None:
        path, client = self._scope["path"], self._scope.get("client")
        if self._status >= 500:  # noqa: PLR2004 -- server errors, RFC 9110 section 15.6
            log = _log.error
        elif self._status >= 400:  # noqa: PLR2004 -- client errors, RFC 9110 section 15.5
            log = _log.warning
        else:
            log = _log.debug if path in _ROUTINE else _log.info
        subject = self._scope["state"].get("subject")
        log(
            "request",
            method=self._scope["method"],
            path=path,
            status=self._status,
            ms=round((time.perf_counter() - self._began) * 1000, 1),
            client=client[0] if client else "",
            **({"subject": subject} if subject else {}),
        )


def _refuse_foreign(
    headers: Headers, hosts: Collection[str], arrived: tuple[str, int | None] | None
) -> None:
    """A page in a browser can be made to reach this server under another name (DNS rebinding).

    The address that a request has come to is no such name: nobody can make it lead elsewhere.
    """
    asked, origin = _host_name(f"//{headers.get('host', '')}"), headers.get("origin")
    if not _is_own(asked, hosts, arrived):
        raise Refused(
            421,
            "this server does not go by that name",
            hint="use 127.0.0.1, or have the name put into the setting names (docs/access.md)",
        )
    if origin is not None and not _is_own(_host_name(origin), hosts, arrived):
        raise Refused(403, "requests from other sites are refused")


def _is_own(name: str, hosts: Collection[str], arrived: tuple[str, int | None] | None) -> bool:
    if name in hosts:
        return True
    address = as_address(name)
    return address is not None and arrived is not None and address == as_address(arrived[0])


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _refuse_long(headers: Headers, max_body: int) -> None:
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > max_body:
        raise _too_long(max_body)


def _too_long(max_body: int) -> Refused:
    return Refused(413, f"the body is longer than {max_body} bytes", hint="send it in parts")
