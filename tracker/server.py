"""The tracker's server as a process: how it starts, what runs beside its routes, how it ends."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool

from schemas.errors import SessionopsError
from tracker.api import NAME, Api
from tracker.maintenance_api import MaintenanceApi
from tracker.search_api import SearchApi
from tracker.sessions import SessionService
from tracker.web.app import create_app
from tracker.web.identity import Identity
from tracker.web.logs import configure_logging
from tracker.web.run import serve as run_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

    from schemas.settings import Settings

SERVICE = "session-buddy"
REAPER_SECONDS = 15.0
"""Between two looks for sessions that have gone silent."""

_log = structlog.get_logger("server")


def build(service: SessionService, identity: Identity) -> Starlette:
    """The application over an open service.

    Args:
        service: the sessions.
        identity: this server, as it was when it read its settings.

    Raises:
        InvalidInput: as ``create_app``.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        reaper = asyncio.create_task(look_for_silence(service))
        try:
            yield
        finally:
            reaper.cancel()

    api = Api(service, identity)
    routes = [
        *api.routes(),
        *SearchApi(service).routes(),
        *MaintenanceApi(service.maintenance).routes(),
    ]
    app = create_app(SERVICE, routes, service.settings, lifespan=lifespan)
    api.count_refusals(app.state.guard.refused)
    return app


def serve(settings: Settings) -> int:
    """Serve until a signal asks to stop, and say what happens as the guide (3.2) shows it.

    Returns:
        0: it was asked to stop, and everything is stored.

    Raises:
        Busy: another process has the database.
        InvalidInput: a setting that cannot be used, or a database from a newer release.
        StepFailed: the port is taken.
    """
    os.umask(0o077)
    configure_logging(SERVICE, settings, to_stderr=sys.stderr.isatty())
    for warning in settings.warnings:
        _log.warning("setting", warning=warning)
    host, port = settings.text("session_buddy.host"), settings.count("session_buddy.port")
    _say(f"Starting {NAME} on {host}:{port}")
    try:
        _serve(settings, host, port)
    except SessionopsError as error:
        _log.error("not started", reason=error.message, where=error.where, hint=error.hint)
        raise
    return 0


def _serve(settings: Settings, host: str, port: int) -> None:
    # First: opening may wait for another owner, and files that are rendered meanwhile are not
    # the configuration that this server has read.
    identity = Identity.of_this_process(SERVICE, settings)
    service = SessionService.open(settings)
    try:
        app = build(service, identity)
        wanted = settings.flag("mahavishnu.session.enabled")
        _say("Session tracking enabled" if wanted else "Session tracking disabled by the settings")
        run_server(
            app,
            host,
            port,
            service=SERVICE,
            places=settings.places,
            on_ready=lambda: _say("Ready to accept connections"),
        )
    finally:
        service.close()


async def look_for_silence(service: SessionService) -> None:
    """Mark silent sessions as abandoned, for as long as the server runs."""
    if not service.settings.flag("session_buddy.session_tracking.auto_cleanup"):
        return
    # While the server was down nobody could be heard, so everybody gets the full time once.
    await asyncio.sleep(service.silence.total_seconds())
    while True:
        try:
            await run_in_threadpool(service.mark_abandoned, datetime.now(UTC))
        except Exception:  # noqa: BLE001 -- logged; one failure must not end the task
            _log.exception("silent sessions could not be marked")
        await asyncio.sleep(REAPER_SECONDS)


def _say(line: str) -> None:
    print(f"[INFO] {line}", flush=True)
