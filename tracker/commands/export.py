"""``session-buddy export``: sessions or events as JSONL or CSV, however many there are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracker.client.console import load_settings, rows_option
from tracker.commands.connection import API, tracker
from tracker.commands.filters import asked, session_options

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 120.0
"""Between two pieces of the answer."""


@click.command()
@click.argument("what", type=click.Choice(["sessions", "events"]), default="sessions")
@session_options
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Into this file.")
@rows_option("jsonl", "csv")
def export(what: str, output: Path | None, form: str, **options: Any) -> None:
    """Write sessions, or the events of sessions, oldest first.

    For events, --since and --until are the times of the events, and the other options are about
    their sessions. A file gets its name when it is whole.
    """
    with tracker(load_settings(), "read", timeout=_SECONDS) as client:
        pieces = client.stream(f"{API}/export/{what}", **asked(options), format=form)
        if output is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
        else:
            from schemas.units import format_size

            click.echo(f"{format_size(_to_file(output, pieces))} in {output}", err=True)


def _to_file(path: Path, pieces: Iterator[bytes]) -> int:
    """Write a file for this user alone, whole or not at all; how many bytes it has."""
    import os

    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    size = 0
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
                size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return size
