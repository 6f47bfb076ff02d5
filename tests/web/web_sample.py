"""A small server made of the real parts, for a process of its own: web_sample.py [FAULT]."""

from __future__ import annotations

import asyncio
import sys

from starlette.responses import JSONResponse
from starlette.routing import Route

from schemas.health import Probe
from schemas.session import Message
from schemas.settings import Settings
from tracker.client.console import report
from tracker.web.app import create_app, require
from tracker.web.errors import Refused
from tracker.web.identity import Identity, health_answer
from tracker.web.logs import configure_logging
from tracker.web.parameters import read_body
from tracker.web.run import serve

SERVICE = "session-buddy"


class Told(Message):
    """What ``/echo`` takes."""

    text: str


def application(settings, fault):
    identity = Identity.of_this_process(SERVICE, settings)

    async def health(_):
        probes = [
            Probe("Session tracking", ok=True, value="enabled"),
            Probe("Database", ok=fault != "unhealthy", value="asked", hint="look at the disk"),
        ]
        return health_answer(identity.health(probes, {"Database"}))

    async def who(request):
        return JSONResponse({"subject": require(request, "read").subject})

    async def operate(request):
        return JSONResponse({"subject": require(request, "operate").subject})

    async def echo(request):
        return JSONResponse(read_body(await request.body(), Told).model_dump())

    async def slow(_):
        await asyncio.sleep(0.5)
        return JSONResponse({"finished": True})

    async def full(_):
        raise Refused(429, "too much", hint="wait", headers={"Retry-After": "7"})

    async def broken(_):
        raise RuntimeError("the innermost secret")

    routes = [
        Route("/health", health),
        Route("/who", who),
        Route("/operate", operate),
        Route("/echo", echo, methods=["POST"]),
        Route("/slow", slow),
        Route("/full", full),
        Route("/broken", broken),
    ]
    return create_app(SERVICE, routes, settings, max_body=100_000)


def main(fault):
    settings = Settings.load()
    configure_logging(SERVICE, settings)
    if fault == "dies":
        raise PermissionError("the disk said no")
    serve(
        application(settings, fault),
        settings.text("session_buddy.host"),
        settings.count("session_buddy.port"),
        service=SERVICE,
        places=settings.places,
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "")
    except Exception as error:  # noqa: BLE001 -- as the real command does
        sys.exit(report(error))
