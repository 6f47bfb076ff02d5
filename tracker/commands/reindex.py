"""``session-buddy models reindex``: brings the search index up to date, and shows how it goes.

Beside ``models fetch`` and not below ``search``: every word after ``search`` is something to look
for (guide 4.3), and a model that was fetched later is the usual reason to ask for this.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from schemas.errors import SessionopsError
from tracker.client.console import format_option, load_settings, print_json
from tracker.commands.connection import API, tracker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.client.http import ServerClient

_CLEAR = "\r\033[K"
_POLL = 0.3
_LINES = 10.0
"""Seconds between two lines where there is no terminal."""


@click.command()
@click.option(
    "--from-scratch", is_flag=True, help="Make it anew: every text, and every vector of any model."
)
@click.option("--no-wait", is_flag=True, help="Do not wait until it is done.")
@format_option
def reindex(from_scratch: bool, no_wait: bool, as_json: bool) -> int:
    """Bring the search index up to date: words first, then meaning.

    The server does so by itself as events arrive. Search goes on meanwhile.
    """
    with tracker(load_settings(), "operate", "read") as client:
        progress = client.post(f"{API}/search/index", {"from_scratch": from_scratch})
        if not no_wait:
            progress = _followed(client)
    if progress["problem"]:
        raise SessionopsError(
            f"the search index does not advance: {progress['problem']}",
            hint="see what session-buddy health says",
        )
    if as_json:
        print_json(progress)
        return 0
    click.echo(f"{progress['indexed']} of {progress['events']} events can be found by words")
    if progress["model"]:
        embedded = f"{progress['embedded']} of {progress['texts']} texts by meaning"
        click.echo(f"{embedded} ({progress['model']})")
    else:
        click.echo(progress["note"])
    return 0


def _followed(client: ServerClient) -> Any:
    """The progress once there is nothing left to do, or nothing moves; shown on the way."""
    on_terminal, shown = sys.stderr.isatty(), time.monotonic()
    while True:
        progress = client.get(f"{API}/search/index")
        if progress["problem"] or _is_done(progress):
            break
        if on_terminal:
            click.echo(f"{_CLEAR}{_line(progress)}", nl=False, err=True)
        elif time.monotonic() - shown > _LINES:
            shown = time.monotonic()
            click.echo(_line(progress), err=True)
        time.sleep(_POLL)
    if on_terminal:
        click.echo(_CLEAR, nl=False, err=True)
    return progress


def _is_done(progress: Mapping[str, Any]) -> bool:
    embedded = not progress["model"] or progress["embedded"] >= progress["texts"]
    return progress["indexed"] >= progress["events"] and embedded


def _line(progress: Mapping[str, Any]) -> str:
    words = f"words {progress['indexed']}/{progress['events']}"
    if not progress["model"]:
        return words
    return f"{words}, meaning {progress['embedded']}/{progress['texts']}"
