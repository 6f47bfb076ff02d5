"""``session-buddy mcp ...`` and ``health``: the life of the tracker's server (guide 3 step 3)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.errors import Unreachable
from tracker.client.console import format_option, load_settings, print_json, print_lines
from tracker.commands.connection import tracker

if TYPE_CHECKING:
    from schemas.settings import Settings
    from tracker.web.lifecycle import ServerSpec

SERVICE = "session-buddy"
TITLE = "Session-Buddy MCP server"
_STDIO_SECONDS = 60.0


@click.group()
def mcp() -> None:
    """Start, stop and restart the server on this machine."""


@mcp.command()
@click.option("--foreground", is_flag=True, help="Stay in this terminal.")
def start(foreground: bool) -> None:
    """Start the server and return when it is healthy."""
    settings = load_settings()
    if foreground:
        sys.exit(_serve(settings))
    from tracker.web import lifecycle

    lifecycle.start(server_spec(settings), settings, say=click.echo)


@mcp.command()
def stop() -> None:
    """Stop the server. It is no error if it is stopped already."""
    settings = load_settings()
    from tracker.web import lifecycle

    lifecycle.stop(server_spec(settings), settings, say=click.echo)


@mcp.command()
def restart() -> None:
    """Stop the server and start it again."""
    settings = load_settings()
    from tracker.web import lifecycle

    lifecycle.restart(server_spec(settings), settings, say=click.echo)


@mcp.command()
def stdio() -> int:
    """Speak MCP on standard input and output, for clients that start a command.

    Hands every message on to the running server, with a token made from this user's keys.
    """
    from tracker.client.relay import relay_stdio

    settings = load_settings()
    return relay_stdio(lambda: tracker(settings, "read", "ingest", timeout=_STDIO_SECONDS))


@click.command()
@format_option
def health(as_json: bool) -> int:
    """Ask the server how it is. Exits 1 when it is unhealthy or does not answer."""
    from tracker.client.show import health_lines, unreachable_lines

    with tracker(load_settings()) as client:
        try:
            found = client.health()
        except Unreachable as error:
            if as_json:
                print_json({"status": "unhealthy", "error": error.message, "hint": error.hint})
            else:
                print_lines(unreachable_lines(TITLE, error))
            return 1
    if as_json:
        print_json(found.as_dict())
    else:
        print_lines(health_lines(found))
    return 1 if found.status == "unhealthy" else 0


def server_spec(settings: Settings) -> ServerSpec:
    """The tracker's server, for ``tracker.web.lifecycle``."""
    from tracker.web.lifecycle import ServerSpec, server_argv

    cert = settings.text("session_buddy.tls.cert")
    return ServerSpec(
        name=SERVICE,
        title=TITLE,
        argv=server_argv(SERVICE, "tracker.cli", settings.places, "mcp", "start", "--foreground"),
        host=settings.text("session_buddy.host"),
        port=settings.count("session_buddy.port"),
        log=settings.places.tracker_log / f"{SERVICE}.log",
        cert=Path(cert) if cert else None,
    )


def _serve(settings: Settings) -> int:
    """Run the server here; that of the current release, where there is one."""
    released = settings.places.current / "bin" / SERVICE
    if released.is_file() and settings.places.current.resolve() != Path(sys.prefix).resolve():
        os.execv(released, [str(released), *sys.argv[1:]])  # noqa: S606 -- no shell is wanted
    from tracker.server import serve

    return serve(settings)
