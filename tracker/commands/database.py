"""``session-buddy db``: a look at the database through the server that has it (guide 6.2, 6.4)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tracker.client.console import (
    format_option,
    load_settings,
    print_csv,
    print_json,
    print_lines,
    rows_option,
)
from tracker.commands.connection import API, tracker

_LONG = 3600.0
_LONGEST_QUERY = 60


@click.group()
def db() -> None:
    """Look into the database, check it, compact it."""


@db.command()
@format_option
def inspect(as_json: bool) -> None:
    """Show the file, its schema, and its tables with rows and sizes."""
    from tracker.client.database import inspection_lines

    with tracker(load_settings(), "read", timeout=_LONG) as client:
        found = client.get(f"{API}/database")
    if as_json:
        print_json(found)
    else:
        print_lines(inspection_lines(found))


@db.command()
@click.option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A database that no server has open, such as a copy of a damaged one.",
)
@format_option
def check(file: Path | None, as_json: bool) -> int:
    """Read everything and see whether it fits together. Exits 1 when something is wrong."""
    from tracker.client.database import check_lines

    if file is not None:
        from tracker.store.offline import check_file

        found = check_file(file).model_dump(mode="json")
    else:
        with tracker(load_settings(), "operate", timeout=_LONG) as client:
            found = client.post(f"{API}/database/check")
    if as_json:
        print_json(found)
    else:
        print_lines(check_lines(found))
    return 0 if found["ok"] else 1


@db.command()
@format_option
def compact(as_json: bool) -> None:
    """Write the database anew, without the room that removed rows have left in it.

    Events wait meanwhile, and nothing is lost: the new file is compared with the old one before it
    takes its place.
    """
    from schemas.units import format_size

    with tracker(load_settings(), "operate", timeout=_LONG) as client:
        done = client.post(f"{API}/database/compact")
    if as_json:
        print_json(done)
    else:
        click.echo(f"{format_size(done['before'])} before, {format_size(done['after'])} after")


@db.command()
@click.argument("sql")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@click.option("--timeout", default="10s", show_default=True, help="At most 60s.")
@rows_option("table", "json", "csv")
def query(sql: str, limit: int, timeout: str, form: str) -> None:
    """Run one SQL query that only reads; "-" takes it from standard input.

    It runs on a copy, in a process that reaches no file and no network. The tables: sessions,
    session_events, archived_sessions, archived_events. SHOW TABLES and DESCRIBE work too.
    """
    from schemas.units import parse_duration

    seconds = max(1, round(parse_duration(timeout)))
    wanted = sys.stdin.read() if sql == "-" else sql
    with tracker(load_settings(), "operate", timeout=_LONGEST_QUERY + _LONG) as client:
        answer = client.post(
            f"{API}/database/query", {"sql": wanted, "limit": limit, "seconds": seconds}
        )
    _print_rows(answer, form)
    if answer["truncated"]:
        sys.stdout.flush()
        click.echo(f"there are more rows: --limit {limit * 10}", err=True)


def _print_rows(answer: dict[str, Any], form: str) -> None:
    titles = [column["name"] for column in answer["columns"]]
    if form == "json":
        print_json([dict(zip(titles, row, strict=True)) for row in answer["rows"]])
    elif form == "csv":
        print_csv(titles, answer["rows"])
    else:
        from tracker.client.database import rows_table

        click.echo(rows_table(answer["columns"], answer["rows"]))
