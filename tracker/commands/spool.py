"""``session-buddy spool``: events that wait on this machine for the server."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tracker.client.console import format_option, load_settings, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group()
def spool() -> None:
    """Events that wait on this machine for the server."""


@spool.command()
@format_option
def status(as_json: bool) -> None:
    """Show what waits."""
    from tracker.client.flush import spool_status
    from tracker.client.table import local_time, table

    found = spool_status(load_settings())
    if as_json:
        print_json(asdict(found))
        return
    click.echo(f"{found.events} events wait in {found.folder}")
    if found.rejected:
        click.echo(f"{found.rejected} events were refused; they are in {found.folder}/rejected")
    _report_skipped(found.skipped)
    if found.files:
        titles = ("File", "Process", "Events", "Oldest")
        rows = [
            (file.name, file.owner, str(file.events), local_time(file.oldest))
            for file in found.files
        ]
        click.echo(table(titles, rows, right={"Events"}))


@spool.command()
@format_option
def flush(as_json: bool) -> None:
    """Deliver now what dead processes left behind."""
    from tracker.client.flush import flush_spool

    flushed = flush_spool(load_settings())
    if as_json:
        print_json(asdict(flushed))
        return
    parts = [f"{flushed.sent} events delivered"]
    if flushed.left:
        parts.append(f"{flushed.left} left to the processes that still write them")
    if flushed.set_aside:
        parts.append(f"{flushed.set_aside} refused and set aside")
    click.echo(", ".join(parts))
    _report_skipped(flushed.skipped)


def _report_skipped(names: Sequence[str]) -> None:
    """What nobody will deliver until a person has looked at it."""
    from tracker.client.table import printable

    for name in names:
        click.echo(f"warning: left alone, no readable file: {printable(name)}", err=True)
