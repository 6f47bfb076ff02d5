"""``mahavishnu mcp ...``: the life and the health of the mahavishnu server (guide 3, 4.1)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.servers import SERVICE, TITLE, server_spec
from schemas.errors import Unreachable
from tracker.client.console import format_option, load_settings, print_json, print_lines

if TYPE_CHECKING:
    from schemas.settings import Settings


@click.group()
def mcp() -> None:
    """Start, stop, restart or check the server."""


@mcp.command()
@click.option("--foreground", is_flag=True, help="Stay in this terminal.")
def start(foreground: bool) -> int:
    """Start the server and return when it is healthy."""
    settings = load_settings()
    if foreground:
        return _serve(settings)
    from tracker.web import lifecycle

    lifecycle.start(server_spec(settings), settings, say=click.echo)
    return 0


@mcp.command()
def stop() -> None:
    """Stop the server, if it runs."""
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
@format_option
def health(as_json: bool) -> int:
    """Ask the server how it is.

    Exits 1 when a line is not as it should be.
    """
    from tracker.client.servers import mahavishnu
    from tracker.client.show import health_lines, unreachable_lines

    with mahavishnu(load_settings()) as client:
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
    return 0 if found.status == "healthy" else 1


def _serve(settings: Settings) -> int:
    """Run the server here; that of the current release, where there is one."""
    released = settings.places.current / "bin" / SERVICE
    if released.is_file() and settings.places.current.resolve() != Path(sys.prefix).resolve():
        os.execv(released, [str(released), *sys.argv[1:]])  # noqa: S606 -- no shell is wanted
    from orchestrator.server import serve

    return serve(settings)
