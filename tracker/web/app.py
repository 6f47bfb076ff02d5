"""How a server of this project is put together: routes behind one gate, errors in one shape.

Shared by both servers. Knows neither of them: routes, lifespan and settings are given to it.
"""

from __future__ import annotations

from types import MappingProxyType
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

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers by which a proxy tells that it asks for somebody else (RFC 7239)."""

_log = structlog.get_logger("access")


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
        middleware=[
            Middleware(
                Gate,
                hosts=names,
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
    if "session_id" in request.path_params:
        about_session(request.scope, request.path_params["session_id"])
    return admit(request.scope, request.headers.get("authorization", ""), *scopes)


def admit(scope: Scope, authorization: str, *scopes: str) -> Claims:
    """As ``require``, for who has no request object.

    Args:
        scope: the ASGI scope of the request.
        authorization: its header.
        scopes: any of them lets it in.

    Raises:
        NotAuthorised, Forbidden: as ``require``.
    """
    guard: Guard = scope["app"].state.guard
    try:
        claims = guard.check(authorization, *scopes)
    except NotAuthorised as error:
        client = (scope.get("client") or ("",))[0]
        _log.warning("not authorised", reason=error.message, client=client, path=scope["path"])
        raise
    scope.setdefault("state", {})["subject"] = claims.subject
    return claims


def about_session(scope: Scope, session_id: str) -> None:
    """Name the session that a request is about in every log line that is written for it."""
    session_id = session_id[:LONGEST_ID]
    # A route that blocks runs in a thread with a context of its own, so the gate is told apart.
    scope.setdefault("state", {})["session_id"] = session_id
    structlog.contextvars.bind_contextvars(session_id=session_id)


def from_loopback(request: Request) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it."""
    near = request.client is not None and is_loopback(request.client.host)
    return near and not any(name in request.headers for name in FORWARDED)
