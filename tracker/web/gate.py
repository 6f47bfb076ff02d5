"""The gate that every request goes through: request id, Host and Origin, body limit, access log.

A plain ASGI callable: at thousands of requests a second each layer of Starlette's middleware shows.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from starlette.requests import ClientDisconnect

from schemas.errors import SessionopsError
from tracker.client.redact import redact
from tracker.web import tracing
from tracker.web.binding import as_address
from tracker.web.errors import Refused, error_answer, known_error_answer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tracker.web.traffic import Traffic

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

_LONGEST_PATH = 200
"""Characters of a path in a log line."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ROUTINE = frozenset({"/health", "/metrics", "/api/v1/events"})
"""Paths that are asked for all day long; their successes are logged as DEBUG."""

# Unique as a random one is, without a system call for each.
_START = secrets.token_hex(5)
_numbers = itertools.count(1)

_log = structlog.get_logger("access")


class Gate:
    """Wraps the routes of a server.

    Args:
        app: what is behind the gate.
        hosts: host names that this server answers to, besides those of loopback and the address
            that a request has come to.
        max_body: bytes of the longest body that is read.
        traffic: counts every request.
        direct: what answers a method and path without a detour through the router.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] = (),
        max_body: int,
        traffic: Traffic,
        direct: Mapping[tuple[str, str], ASGIApp],
    ) -> None:
        self._app = app
        self._direct = direct
        self._hosts = LOOPBACK_NAMES | frozenset(hosts)
        self._max_body = max_body
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        direct = self._direct.get((scope["method"], scope["path"]))
        passage = _Passage(direct or self._app, scope, receive, send)
        passage.template = scope["path"] if direct else ""
        with tracing.request(scope) as span:
            await passage.serve(self._hosts, self._max_body)
            passage.conclude(self._traffic, span)


class _Passage:
    """One request on its way through."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._scope = scope
        self._receive_below = receive
        self._send_below = send
        # The first of a name counts.
        self._headers = dict(reversed(scope["headers"]))
        self.template = ""
        self._status = 0
        self._began = time.perf_counter()
        self._seconds = 0.0
        asked = self._headers.get(b"x-request-id", b"").decode("latin-1")
        self._id = asked if _REQUEST_ID.fullmatch(asked) else _next_id()
        scope.setdefault("state", {})["request_id"] = self._id

    async def serve(self, hosts: Collection[str], max_body: int) -> None:
        # Each request is a task, and what is bound goes with it.
        structlog.contextvars.bind_contextvars(request_id=self._id)
        try:
            _refuse_foreign(self._headers, hosts, self._scope.get("server"))
            _refuse_long(self._headers, max_body)
            await self._app(self._scope, self._limited(max_body), self._send)
        except SessionopsError as error:
            await self._answer(known_error_answer(error, self._id))
        except ClientDisconnect:
            self._status = self._status or 499
        except Exception:  # noqa: BLE001 -- any error of any route ends here
            # The last line of defence: logged whole, answered without a word of it.
            _log.exception("request failed", path=self._path(), **self._session())
            hint = f"look for {self._id} in its log"
            await self._answer(error_answer(500, "the server failed", self._id, hint=hint))
        self._report()

    def conclude(self, traffic: Traffic, span: tracing.RequestSpan | None) -> None:
        """Count it, and complete its span."""
        route = self._route()
        traffic.note(self._scope["method"], route, self._status, self._seconds)
        if span is not None:
            span.answered(route, self._status)

    async def _answer(self, response: Response) -> None:
        if not self._status:  # else the head of another answer has left already
            await response(self._scope, self._receive_below, self._send)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._id.encode())]
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
        self._seconds = time.perf_counter() - self._began
        client = self._scope.get("client")
        if self._status >= 500:  # noqa: PLR2004 -- server errors, RFC 9110 section 15.6
            log = _log.error
        elif self._status >= 400:  # noqa: PLR2004 -- client errors, RFC 9110 section 15.5
            log = _log.warning
        else:
            log = _log.debug if self._scope["path"] in _ROUTINE else _log.info
        subject = self._scope["state"].get("subject")
        log(
            "request",
            method=self._scope["method"],
            path=self._path(),
            status=self._status,
            ms=round(self._seconds * 1000, 1),
            client=client[0] if client else "",
            **({"subject": subject} if subject else {}),
            **self._session(),
        )

    def _route(self) -> str:
        """The template of the route that answered; empty: none did."""
        return self.template or getattr(self._scope.get("route"), "path", "")

    def _path(self) -> str:
        path: str = self._scope["path"][:_LONGEST_PATH]
        # Where no route is, anything may stand, also what somebody has pasted.
        return path if self._route() else redact(path)

    def _session(self) -> dict[str, str]:
        session_id = self._scope["state"].get("session_id")
        return {"session_id": session_id} if session_id else {}


def _next_id() -> str:
    return f"{_START}-{next(_numbers):06x}"


def _refuse_foreign(
    headers: Mapping[bytes, bytes], hosts: Collection[str], arrived: tuple[str, int | None] | None
) -> None:
    """A page in a browser can be made to reach this server under another name (DNS rebinding).

    The address that a request has come to is no such name: nobody can make it lead elsewhere.
    """
    asked, origin = _host_name(b"//" + headers.get(b"host", b"")), headers.get(b"origin")
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


@lru_cache(maxsize=64)
def _host_name(url: bytes) -> str:
    try:
        return urlsplit(url.decode("latin-1")).hostname or ""
    except ValueError:
        return ""


def _refuse_long(headers: Mapping[bytes, bytes], max_body: int) -> None:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) > max_body:
        raise _too_long(max_body)


def _too_long(max_body: int) -> Refused:
    return Refused(413, f"the body is longer than {max_body} bytes", hint="send it in parts")
