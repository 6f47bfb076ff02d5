"""``session-buddy list-events``: those of one session, or the newest of all (guide 10.1)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tracker.client.console import load_settings, print_csv, print_json, rows_option
from tracker.commands.connection import API, tracker
from tracker.commands.filters import asked, time_options
from tracker.commands.sessions import segment

if TYPE_CHECKING:
    from tracker.client.http import ServerClient

_PAGE = 1000
"""Events that one request asks for at the most."""

_TYPES = ("session_start", "command", "error", "checkpoint", "step", "gap", "session_end")


@click.command("list-events")
@click.option(
    "--session-id", help="Of this session, in their order; without it, the newest of all."
)
@click.option("--type", "event_type", type=click.Choice(_TYPES), help="Without --session-id.")
@time_options
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--cursor", help="Go on where an earlier list ended.")
@rows_option("table", "json", "csv")
def list_events(
    session_id: str | None, limit: int, cursor: str | None, form: str, **options: Any
) -> None:
    """List the events of a session, or the newest events of all sessions."""
    if session_id is not None and any(options.values()):
        raise click.UsageError("--type, --since, --until and --archived are without --session-id")
    query = asked(options)
    with tracker(load_settings(), "read") as client:
        if session_id is not None:
            path, position = f"{API}/sessions/{segment(session_id)}/events", "after"
            query = {}
        else:
            path, position = f"{API}/events", "cursor"
            query["type"] = query.pop("event_type")
        events, further = _events(client, path, query, position, cursor, limit)
    _print_events(events, form, several=session_id is None)
    if further:
        sys.stdout.flush()
        click.echo(f"more: --cursor {further}", err=True)


def _events(
    client: ServerClient,
    path: str,
    query: dict[str, Any],
    position: str,
    cursor: str | None,
    limit: int,
) -> tuple[list[Any], str | None]:
    """Up to ``limit`` events from a cursor on, and a cursor for what follows."""
    events: list[Any] = []
    while True:
        wanted = min(_PAGE, limit - len(events))
        page = client.get(path, **query, limit=wanted, **{position: cursor})
        events += page["events"]
        cursor = page["next"]
        if cursor is None or len(events) >= limit:
            return events, cursor


def _print_events(events: list[dict[str, Any]], form: str, *, several: bool) -> None:
    if form == "json":
        print_json(events)
        return
    from tracker.client.show import EVENT_COLUMNS, event_table
    from tracker.client.table import screen_width

    if form == "csv":
        print_csv(EVENT_COLUMNS, [[row[name] for name in EVENT_COLUMNS] for row in events])
    elif events:
        click.echo(event_table(events, width=screen_width(), sessions=several))
    else:
        click.echo("no such events")
