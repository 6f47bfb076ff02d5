"""``session-buddy archive-sessions`` (guide 6.1, 8.1)."""

from __future__ import annotations

import click

from tracker.client.console import format_option, load_settings, print_json
from tracker.commands.connection import API, tracker

_SECONDS = 3600.0


@click.command("archive-sessions")
@click.option(
    "--days",
    type=click.IntRange(1),
    required=True,
    help="Sessions that ended this many days ago, or were last heard of then.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@format_option
def archive_sessions(days: int, dry_run: bool, as_json: bool) -> None:
    """Move old sessions with their events into the archive.

    Active sessions stay. What is in the archive is shown with --archived, and counts in analytics
    and metrics as before; when another event of a session arrives, it comes back.
    """
    from tracker.client.table import local_time

    with tracker(load_settings(), "operate", timeout=_SECONDS) as client:
        moved = client.post(f"{API}/archive", {"days": days, "dry_run": dry_run})
    if as_json:
        print_json(moved)
        return
    verb = "would be archived" if dry_run else "archived"
    click.echo(
        f"{moved['sessions']} sessions with {moved['events']} events {verb}"
        f" (ended before {local_time(moved['before'])})"
    )
