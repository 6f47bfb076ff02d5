"""The mahavishnu server: its routes, and how it is served.

Everything that it answers comes from ``operations``, ``listing`` and ``health``; it decides
nothing itself.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, get_args

import structlog
from starlette.responses import JSONResponse
from starlette.routing import Route

from orchestrator import health, listing, operations
from schemas.errors import InvalidInput
from schemas.run import RunState
from tracker.web import tracing
from tracker.web.app import create_app, require
from tracker.web.identity import Identity, health_answer
from tracker.web.logs import configure_logging
from tracker.web.run import serve as run_server

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from schemas.settings import Settings

SERVICE = "mahavishnu"
MAX_RUNS = 1000

_log = structlog.get_logger("server")


class Api:
    """The routes over one deployment. The endpoints block, so Starlette runs them in threads.

    Args:
        settings: the settings that the server started with.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._identity = Identity.of_this_process(SERVICE, settings)

    def routes(self) -> list[Route]:
        """Paths and what answers them."""
        return [
            Route("/health", self.health),
            Route("/api/v1/repos", self.repos),
            Route("/api/v1/runs", self.runs),
            Route("/api/v1/runbooks", self.runbooks),
        ]

    def health(self, request: Request) -> Response:
        """What this server finds when it looks at itself; needs no token."""
        found = health.probes(self._settings, request.app.state.guard)
        return health_answer(self._identity.health(found, health.ESSENTIAL))

    def repos(self, request: Request) -> Response:
        """The repositories of the settings."""
        require(request, "read")
        return JSONResponse({"repos": listing.repositories(self._settings)})

    def runs(self, request: Request) -> Response:
        """Runs, newest first: ``?limit=20&state=running``."""
        require(request, "read")
        limit = _count(request, "limit", 20, MAX_RUNS)
        state = request.query_params.get("state")
        if state is not None and state not in get_args(RunState):
            raise InvalidInput(
                f"{state!r} is not a state of a run", hint=f"one of {', '.join(get_args(RunState))}"
            )
        found = operations.list_runs(limit=limit, state=state)
        return JSONResponse({"runs": [each.as_dict() for each in found]})

    def runbooks(self, request: Request) -> Response:
        """The runbooks of this release."""
        require(request, "read")
        return JSONResponse({"runbooks": listing.runbooks()})


def build(settings: Settings) -> Starlette:
    """The application.

    Raises:
        InvalidInput: as ``create_app``.
    """
    return create_app(SERVICE, Api(settings).routes(), settings)


def serve(settings: Settings) -> int:
    """Serve until a signal asks to stop, and say what happens as the guide (3.2) shows it.

    Returns:
        0: it was asked to stop, and open requests were finished.

    Raises:
        InvalidInput: as ``build``.
        StepFailed: the port is taken.
    """
    configure_logging(SERVICE, settings, to_stderr=sys.stderr.isatty())
    for warning in settings.warnings:
        _log.warning("setting", warning=warning)
    host, port = settings.text("mahavishnu.host"), settings.count("mahavishnu.port")
    _say(f"Starting {health.SERVER} on {host}:{port}")
    app = build(settings)
    wanted = settings.flag("mahavishnu.session.enabled")
    _say("Session tracking enabled" if wanted else "Session tracking disabled by the settings")
    tracing.start(SERVICE, settings)
    try:
        run_server(
            app,
            host,
            port,
            service=SERVICE,
            places=settings.places,
            on_ready=lambda: _say("Ready to accept connections"),
        )
    finally:
        tracing.stop()
    return 0


def _say(line: str) -> None:
    print(f"[INFO] {line}", flush=True)


def _count(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:9]) <= most:
        raise InvalidInput(f"{name}={text[:20]!r} is not a number from 1 to {most}")
    return int(text)
