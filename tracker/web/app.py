"""How a server of this project is put together: routes behind one gate, errors in one shape.

Shared by both servers. Knows neither of them: routes, lifespan and settings are given to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from schemas.errors import NotAuthorised, SessionopsError
from tracker.web.auth import Claims, Guard, load_keys
from tracker.web.binding import binding, is_loopback
from tracker.web.errors import answer_http_error, answer_known_error
from tracker.web.gate import Gate
from tracker.web.tls import read_certificate, server_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import Lifespan

    from schemas.settings import Settings

MAX_BODY = 16_000_000
"""Bytes of the longest request body."""

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers by which a proxy tells that it asks for somebody else (RFC 7239)."""

_log = structlog.get_logger("access")


def create_app(
    service: str,
    routes: Sequence[BaseRoute],
    settings: Settings,
    *,
    lifespan: Lifespan[Starlette] | None = None,
    max_body: int = MAX_BODY,
) -> Starlette:
    """The application of one server.

    Args:
        service: ``session-buddy`` or ``mahavishnu``; the audience of its tokens.
        routes: its routes; each asks ``require`` for the scope that it needs.
        settings: the settings in force.
        lifespan: opens and closes what the routes need.
        max_body: bytes of the longest request body.

    Raises:
        InvalidInput: no usable signing key or certificate, or tokens would cross a network in
            clear.
    """
    bound = binding(settings, service)
    context = server_context(bound.cert, bound.key) if bound.cert and bound.key else None
    certified = read_certificate(bound.cert).names if bound.cert else ()
    # The tracker holds everybody's commands, and its own CLI mints tokens by itself: there is
    # nothing to gain from switching its tokens off.
    wanted = service != "mahavishnu" or settings.flag("mahavishnu.auth_enabled")
    # To ask for 0.0.0.0 reaches this machine too, and some browsers let any page do it.
    names = {bound.host, *bound.names, *certified} - {"0.0.0.0", "::", ""}  # noqa: S104
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(Gate, hosts=names, max_body=max_body)],
        exception_handlers={
            SessionopsError: answer_known_error,
            HTTPException: answer_http_error,
        },
    )
    app.state.guard = Guard(load_keys(settings, service) if wanted else None, service)
    app.state.binding = bound
    app.state.tls = context
    return app


def require(request: Request, *scopes: str) -> Claims:
    """Who makes this request, if it may.

    Args:
        request: the request.
        scopes: the scope that the route needs, of ``schemas.keyring.SCOPES``; any of several.

    Raises:
        NotAuthorised: no token, or a bad one (401).
        Forbidden: a token without the scope (403).
    """
    guard: Guard = request.app.state.guard
    try:
        claims = guard.check(request.headers.get("authorization", ""), *scopes)
    except NotAuthorised as error:
        client = request.client.host if request.client else ""
        _log.warning("not authorised", reason=error.message, client=client, path=request.url.path)
        raise
    request.scope.setdefault("state", {})["subject"] = claims.subject
    return claims


def from_loopback(request: Request) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it."""
    near = request.client is not None and is_loopback(request.client.host)
    return near and not any(name in request.headers for name in FORWARDED)
