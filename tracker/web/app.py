"""How a server of this project is put together: routes behind one gate, errors in one shape.

Shared by both servers. Knows neither of them: routes, lifespan and settings are given to it.
"""

from __future__ import annotations

import ipaddress
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from schemas.errors import InvalidInput, SessionopsError
from tracker.web.auth import Claims, Guard, load_keys
from tracker.web.errors import answer_http_error, answer_known_error
from tracker.web.gate import Gate
from tracker.web.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Lifespan, Scope

    from schemas.settings import Settings

MAX_BODY = 16_000_000
"""Bytes of the longest request body."""

LONGEST_ID = 200
"""Characters of an id that somebody sent, in a log line."""


def create_app(
    service: str,
    routes: Sequence[BaseRoute],
    settings: Settings,
    *,
    direct: Mapping[tuple[str, str], ASGIApp] = MappingProxyType({}),
    lifespan: Lifespan[Starlette] | None = None,
    max_body: int = MAX_BODY,
    traffic: Traffic | None = None,
) -> Starlette:
    """The application of one server.

    Args:
        service: ``session-buddy`` or ``mahavishnu``; the audience of its tokens.
        routes: its routes; each asks ``require`` for the scope that it needs.
        settings: the settings in force.
        direct: what answers a method and path that are asked for thousands of times a second: no
            router, exception handler or request object stands before it.
        lifespan: opens and closes what the routes need.
        max_body: bytes of the longest request body.
        traffic: counts the requests, for the routes that show it.

    Raises:
        InvalidInput: no usable signing key, or an address that is not loopback.
    """
    host = settings.text(f"{service.replace('-', '_')}.host")
    check_address(host)
    # The tracker holds everybody's commands, and its own CLI mints tokens by itself: there is
    # nothing to gain from switching its tokens off.
    wanted = service != "mahavishnu" or settings.flag("mahavishnu.auth_enabled")
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(
                Gate,
                hosts=(host,),
                max_body=max_body,
                traffic=traffic or Traffic(),
                direct=direct,
            )
        ],
        exception_handlers={
            SessionopsError: answer_known_error,
            HTTPException: answer_http_error,
        },
    )
    # A redirect would tell clients to send their token once more, to wherever Host says.
    app.router.redirect_slashes = False
    app.state.guard = Guard(load_keys(settings, service) if wanted else None, service)
    return app


def require(request: Request, scope: str) -> Claims:
    """Who makes this request, if it may.

    Args:
        request: the request.
        scope: the scope that the route needs: ``read``, ``ingest``, ``operate`` or ``admin``.

    Raises:
        NotAuthorised: no token, or a bad one (401).
        Forbidden: a token without the scope (403).
    """
    guard: Guard = request.app.state.guard
    if "session_id" in request.path_params:
        about_session(request.scope, request.path_params["session_id"])
    claims = guard.check(request.headers.get("authorization", ""), scope)
    request.scope.setdefault("state", {})["subject"] = claims.subject
    return claims


def about_session(scope: Scope, session_id: str) -> None:
    """Name the session that a request is about in every log line that is written for it."""
    session_id = session_id[:LONGEST_ID]
    # A route that blocks runs in a thread with a context of its own, so the gate is told apart.
    scope.setdefault("state", {})["session_id"] = session_id
    structlog.contextvars.bind_contextvars(session_id=session_id)


def from_loopback(request: Request) -> bool:
    """Whether a request comes from this machine."""
    return request.client is not None and _is_loopback(request.client.host)


def check_address(host: str) -> None:
    """Refuse to listen where tokens would cross a network in clear.

    Raises:
        InvalidInput: not an address of loopback.
    """
    if host != "localhost" and not _is_loopback(host):
        raise InvalidInput(
            f"{host} is not an address of loopback, and this server speaks no TLS",
            hint="set the host to 127.0.0.1; reach it from elsewhere through an SSH tunnel",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
