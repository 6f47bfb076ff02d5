"""Runs a server's application until it is asked to stop: uvicorn, a PID file, a graceful end."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from schemas.errors import StepFailed
from tracker.web.pidfile import pid_file, remove_pid, write_pid
from tracker.web.ports import port_taken
from tracker.web.protocol import Protocol
from tracker.web.tls import certificate_probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette

    from schemas.places import Places
    from tracker.web.binding import Binding

_GRACE = 10
"""Seconds that open requests get to finish after a signal to stop."""

_log = structlog.get_logger("server")


def serve(
    app: Starlette,
    host: str,
    port: int,
    *,
    service: str,
    places: Places,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; then finish open requests and run the app's shutdown.

    Args:
        app: from ``create_app``, which has looked at the address and the certificate; its lifespan
            opens and closes what it needs.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        service: ``session-buddy`` or ``mahavishnu``; names the PID file.
        places: the deployment that this server belongs to.
        on_ready: called once when requests are taken.

    Raises:
        StepFailed: the port is taken, or the app's startup failed.
    """
    os.umask(0o077)  # what a server writes is nobody else's business
    listening = _listen(host, port)
    path = pid_file(service, places)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        ssl_context_factory=None if app.state.tls is None else lambda *_: app.state.tls,
    )
    server = _Server(config, on_ready)
    # uvicorn raises the signal once more when it is done; without handlers of our own that would
    # end the process before it has tidied up.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, server.handle_exit)
    write_pid(path)
    try:
        _log.info(
            "starting",
            service=service,
            host=host,
            port=port,
            tls=app.state.tls is not None,
            pid=os.getpid(),
        )
        _warn(app.state.binding)
        server.run(sockets=[listening])
    except SystemExit:
        # uvicorn's way of saying that the lifespan failed; it has logged the traceback.
        raise StepFailed(f"{service} could not start", hint="its log says why") from None
    finally:
        remove_pid(path)
        listening.close()
    _log.info("stopped", service=service)


def _warn(bound: Binding) -> None:
    if bound.opened_by:
        _log.warning("tokens cross the network in clear", host=bound.host, by=bound.opened_by)
    if bound.cert is not None:
        probe = certificate_probe(bound.cert)
        if not probe.ok:
            _log.warning("certificate", is_=probe.value, hint=probe.hint)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, *args: Any, **kwargs: Any) -> None:
        await super().startup(*args, **kwargs)
        if self.started and self._on_ready is not None:
            self._on_ready()


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything else is opened, so that a taken port costs nothing and is named."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise port_taken(host, port, error.strerror or str(error)) from None
    listening.setblocking(False)
    return listening
