"""``session-buddy list-sessions``, ``get-session`` and ``delete-session`` (guide 3 step 4)."""

from __future__ import annotations

import sys
from typing import Any

import click

from schemas.errors import InvalidInput, NotFound
from tracker.client.console import (
    format_option,
    load_settings,
    print_csv,
    print_json,
    print_lines,
    rows_option,
)
from tracker.commands.connection import API, tracker
from tracker.commands.filters import asked, session_options

_PAGE = 1000
"""Sessions that one request asks for at the most."""


@click.command("list-sessions")
@session_options
@click.option("--limit", type=click.IntRange(1, _PAGE), default=20, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, help="Skip this many.")
@click.option("--cursor", help="Go on where an earlier list ended.")
@rows_option("table", "json", "csv")
def list_sessions(*, form: str, **options: Any) -> None:
    """List sessions, newest first."""
    query = asked(options)
    with tracker(load_settings(), "read") as client:
        answer = client.get(f"{API}/sessions", **query)
    _print_sessions(answer["sessions"], form)
    if answer["next"]:
        sys.stdout.flush()
        left = answer["total"] - query["offset"] - len(answer["sessions"])
        count = "" if query["cursor"] else f"{left} "
        click.echo(f"{count}more: --cursor {answer['next']}", err=True)


def _print_sessions(sessions: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        print_json(sessions)
        return
    from tracker.client.show import SESSION_COLUMNS, session_table

    if form == "csv":
        print_csv(SESSION_COLUMNS, [[row[name] for name in SESSION_COLUMNS] for row in sessions])
    else:
        click.echo(session_table(sessions) if sessions else "no such sessions")


@click.command("get-session")
@click.argument("session_id")
@format_option
def get_session(session_id: str, as_json: bool) -> None:
    """Show all that is known about a session."""
    from tracker.client.show import session_lines

    with tracker(load_settings(), "read") as client:
        session = client.get(f"{API}/sessions/{segment(session_id)}")
    if as_json:
        print_json(session)
    else:
        print_lines(session_lines(session))


@click.command("delete-session")
@click.argument("session_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_option
def delete_session(session_id: str, yes: bool, as_json: bool) -> None:
    """Delete a session for good, with all its events, archived or not.

    The audit log keeps that it was done. Backups made before still hold the session.
    """
    path = f"{API}/sessions/{segment(session_id)}"
    with tracker(load_settings(), "read", "admin") as client:
        if not yes:
            _confirm(client.get(path))
        deleted = client.delete(path)
    if as_json:
        print_json(deleted)
    else:
        click.echo(f"deleted: {session_id} with {deleted['events']} events")


def _confirm(session: dict[str, Any]) -> None:
    from tracker.client.table import local_time

    if not sys.stdin.isatty():
        raise InvalidInput("nobody is there to confirm the deletion", hint="add --yes")
    began = local_time(session["start_time"])
    about = f"{session['status']} {session['component']} {session['session_type']} of {began}"
    count = f"{session['event_count']} events"
    if not click.confirm(f"Delete {session['session_id']} ({about}, {count})?", err=True):
        raise click.Abort


def segment(session_id: str) -> str:
    """An id as part of a path; empty or with a slash in it, it would be another path.

    Raises:
        NotFound: nothing that is written like this is an id.
    """
    from urllib.parse import quote

    # What is no UTF-8 on the command line arrives as lone surrogates, which cannot be printed.
    if (
        not session_id.strip()
        or session_id in {".", ".."}
        or "/" in session_id
        or (not session_id.isprintable())
    ):
        hint = "see them with: session-buddy list-sessions"
        raise NotFound(f"Invalid session ID: {session_id!r}", hint=hint)
    return quote(session_id, safe="")
