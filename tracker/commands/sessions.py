"""``session-buddy list-sessions``, ``get-session`` and ``list-events`` (guide 3 step 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from schemas.errors import NotFound
from tracker.client.console import format_option, load_settings, print_json, print_lines
from tracker.commands.connection import API, tracker

if TYPE_CHECKING:
    from tracker.client.http import ServerClient

_PAGE = 1000
"""Rows that one request asks for at the most."""


@click.command("list-sessions")
@click.option("--type", "session_type", help="Only of this type, such as admin_shell or runbook.")
@click.option("--status", type=click.Choice(["active", "ended", "failed", "abandoned"]))
@click.option("--component", help="Only of this component, such as mahavishnu.")
@click.option("--limit", type=click.IntRange(1, _PAGE), default=20, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, help="Skip this many.")
@format_option
def list_sessions(
    *,
    session_type: str | None,
    status: str | None,
    component: str | None,
    limit: int,
    offset: int,
    as_json: bool,
) -> None:
    """List sessions, newest first."""
    with tracker(load_settings(), "read") as client:
        answer = client.get(
            f"{API}/sessions",
            type=session_type,
            status=status,
            component=component,
            limit=limit,
            offset=offset,
        )
    if as_json:
        print_json(answer["sessions"])
        return
    from tracker.client.show import session_table

    if not answer["sessions"]:
        click.echo("no such sessions")
        return
    click.echo(session_table(answer["sessions"]))
    left = answer["total"] - offset - len(answer["sessions"])
    if left > 0:
        click.echo(f"{left} more: --offset {offset + len(answer['sessions'])}", err=True)


@click.command("get-session")
@click.argument("session_id")
@format_option
def get_session(session_id: str, as_json: bool) -> None:
    """Show all that is known about a session."""
    from tracker.client.show import session_lines

    with tracker(load_settings(), "read") as client:
        session = client.get(f"{API}/sessions/{_segment(session_id)}")
    if as_json:
        print_json(session)
    else:
        print_lines(session_lines(session))


@click.command("list-events")
@click.option("--session-id", help="The session; without it, the newest one.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@format_option
def list_events(session_id: str | None, limit: int, as_json: bool) -> None:
    """List the events of a session in their order."""
    from tracker.client.show import event_table
    from tracker.client.table import screen_width

    with tracker(load_settings(), "read") as client:
        if session_id is None:
            session_id = _newest_session(client)
            click.echo(f"session {session_id}", err=True)
        events, more = _events(client, session_id, limit)
    if as_json:
        print_json(events)
        return
    click.echo(event_table(events, width=screen_width()))
    if more:
        click.echo(f"there are more: --limit {limit * 10}", err=True)


def _events(client: ServerClient, session_id: str, limit: int) -> tuple[list[Any], bool]:
    """Up to ``limit`` events, and whether there are more."""
    path = f"{API}/sessions/{_segment(session_id)}/events"
    events: list[Any] = []
    cursor: str | None = None
    while True:
        page = client.get(path, limit=min(_PAGE, limit - len(events)), after=cursor)
        events += page["events"]
        cursor = page["next"]
        if cursor is None or len(events) >= limit:
            return events, cursor is not None


def _newest_session(client: ServerClient) -> str:
    newest = client.get(f"{API}/sessions", limit=1)["sessions"]
    if not newest:
        raise NotFound("there are no sessions yet", hint='make one: mahavishnu shell -c "ps()"')
    return str(newest[0]["session_id"])


def _segment(session_id: str) -> str:
    """An id as part of a path; with a slash in it, it would be another path."""
    from urllib.parse import quote

    if "/" in session_id:
        hint = "see them with: session-buddy list-sessions"
        raise NotFound(f"there is no session {session_id!r}", hint=hint)
    return quote(session_id, safe="")
