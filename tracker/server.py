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
from schemas.release import version
from tracker.api import NAME, Api
from tracker.ingest_api import BATCH_BOUNDS, IngestApi
from tracker.maintenance_api import MaintenanceApi
from tracker.mcp.mount import McpMount
from tracker.search_api import SearchApi
from tracker.sessions import SessionService
from tracker.web import tracing
from tracker.web.app import create_app
from tracker.web.identity import Identity
from tracker.web.logs import configure_logging
from tracker.web.openapi import Description
from tracker.web.operations import direct_of, routes_of
from tracker.web.run import serve as run_server
from tracker.web.traffic import Distribution, Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

    from schemas.settings import Settings
    from tracker.mcp.mount import Manager

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
    traffic, batch_sizes = Traffic(), Distribution(BATCH_BOUNDS)
    api = Api(service, identity, traffic, batch_sizes)

    def session_manager() -> Manager:
        from tracker.mcp.server import session_manager

        return session_manager(service, api.found)

    mcp = McpMount(session_manager)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        reaper = asyncio.create_task(look_for_silence(service))
        try:
            yield
        finally:
            reaper.cancel()
            await mcp.close()

    description = describe(service, api, IngestApi(service, batch_sizes))
    app = create_app(
        SERVICE,
        [*routes_of(description.operations), *mcp.routes()],
        service.settings,
        direct=direct_of(description.operations),
        lifespan=lifespan,
        traffic=traffic,
    )
    api.count_refusals(app.state.guard.refused)
    return app


def describe(service: SessionService, api: Api, ingest: IngestApi) -> Description:
    """All that this server can be asked, and the description of it."""
    operations = [
        *api.operations(),
        *ingest.operations(),
        *SearchApi(service).operations(),
        *MaintenanceApi(service.maintenance).operations(),
    ]
    return Description("Session-Buddy", version(), operations)


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
    tracing.start(SERVICE, settings)
    try:
        _serve(settings, host, port)
    except SessionopsError as error:
        _log.error("not started", reason=error.message, where=error.where, hint=error.hint)
        raise
    finally:
        tracing.stop()
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
