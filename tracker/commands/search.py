"""``session-buddy search``: finds what was done, said or failed in sessions (guide 4.3, 6.1)."""

from __future__ import annotations

from typing import Any

import click

from tracker.client.console import format_option, load_settings, print_json
from tracker.commands.connection import API, tracker

_SECONDS = 60.0
"""The first search by meaning after a start reads every vector that there is."""


@click.command()
@click.argument("words", metavar="QUERY...", nargs=-1, required=True)
@click.option(
    "--search-type",
    type=click.Choice(["semantic", "text", "hybrid"]),
    help="By meaning, by words, or both; without it both, or by words where there is no model.",
)
@click.option("--since", metavar="WHEN", help="Not before: 24h, 7d, 2026-11-23, ISO 8601.")
@click.option("--until", metavar="WHEN", help="Before: as --since.")
@click.option("--type", "session_type", help="Only of sessions of this type, such as runbook.")
@click.option("--user", help="Only of sessions of this user.")
@click.option("--host", help="Only of sessions on this host.")
@click.option("--component", help="Only of sessions of this component, such as mahavishnu.")
@click.option("--exit", "exit_code", type=int, help="Only what ended with this exit code.")
@click.option("--failed", is_flag=True, help="Only errors and other exit codes than 0.")
@click.option("--archived", is_flag=True, help="In archived sessions too.")
@click.option("--repeats", is_flag=True, help="Every event with a text, not only the newest.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option(
    "--context",
    type=click.IntRange(0, 20),
    default=1,
    show_default=True,
    help="Events before and after each hit, in JSON.",
)
@format_option
def search(words: tuple[str, ...], *, as_json: bool, **options: Any) -> None:
    """Search commands, errors, steps and sessions.

    QUERY is a few words or a sentence. Each text is one hit, with the newest event that has it.
    """
    asked = {
        "q": " ".join(words),
        "type": options.pop("session_type"),
        "exit": options.pop("exit_code"),
        **options,
    }
    with tracker(load_settings(), "read", timeout=_SECONDS) as client:
        answer = client.get(f"{API}/search", **asked)
    if as_json:
        print_json(answer)
        return
    from tracker.client.hits import hit_table, notes
    from tracker.client.table import screen_width

    if answer["hits"]:
        click.echo(hit_table(answer["hits"], width=screen_width()))
    else:
        click.echo("nothing found")
    for line in notes(answer):
        click.echo(line, err=True)
