"""``session-buddy backup``: the server makes it, while it goes on serving (guide 7.3)."""

from __future__ import annotations

from pathlib import Path

import click

from tracker.client.console import format_option, load_settings, print_json
from tracker.commands.connection import API, tracker

_BACKUP_SECONDS = 900.0


@click.group()
def backup() -> None:
    """Backups of the database."""


@backup.command()
@click.option("--directory", type=click.Path(path_type=Path), help="Where to put it.")
@click.option("--reason", default="", help="Why it is made, for its manifest.")
@format_option
def create(directory: Path | None, reason: str, as_json: bool) -> None:
    """Make a verified, compressed backup while the server goes on."""
    from schemas.units import format_size

    wanted = {"directory": str(directory.absolute())} if directory else {}
    wanted |= {"reason": reason} if reason else {}
    with tracker(load_settings(), "operate", timeout=_BACKUP_SECONDS) as client:
        manifest = client.post(f"{API}/backups", wanted)
    if as_json:
        print_json(manifest)
        return
    click.echo(f"Backup created: {manifest['name']}")
    counts = f"{manifest['sessions']} sessions, {manifest['events']} events"
    click.echo(f"  {format_size(manifest['size'])}, {counts}, in {manifest['directory']}")
