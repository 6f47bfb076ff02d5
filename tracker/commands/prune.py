"""``session-buddy prune``: today's redaction for what was stored before."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from tracker.client.console import format_option, load_settings, print_json
from tracker.commands.connection import API, tracker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracker.client.http import ServerClient

_CLEAR = "\r\033[K"
_LONG = 3600.0


@click.command("prune")
@click.option("--dry-run", is_flag=True, help="Only say what would be masked, by which pattern.")
@click.option("--apply", is_flag=True, help="Mask it.")
@format_option
def prune(dry_run: bool, apply: bool, as_json: bool) -> None:
    """Mask in what is stored what looks like a secret to today's patterns.

    Recording masks by the patterns of its day; this catches up, in the archive and the search index
    too. Events go on being taken, but for the end, when the database is written anew so that the
    old text is gone from its file. Stopped and run again it does the rest. The audit log keeps that
    it was done. Backups made before still hold the old text.
    """
    if dry_run == apply:
        raise click.UsageError("say one of --dry-run and --apply")
    with tracker(load_settings(), "admin", timeout=_LONG) as client:
        found = _followed(client, apply=apply)
    if as_json:
        print_json(found)
        return
    for line in _lines(found):
        click.echo(line)


def _followed(client: ServerClient, *, apply: bool) -> dict[str, Any]:
    """Call after call until there is nothing left to do; what all of them found."""
    on_terminal = sys.stderr.isatty()
    numbers: Counter[str] = Counter()
    patterns: Counter[str] = Counter()
    after, answer = "", {}
    while True:
        answer = client.post(f"{API}/prune", {"apply": apply, "after": after})
        numbers.update({name: answer[name] for name in ("seen", "sessions", "events")})
        patterns.update(answer["patterns"])
        after = answer["next"]
        if on_terminal and after is not None:
            click.echo(f"{_CLEAR}{_progress(numbers['seen'], answer)}", nl=False, err=True)
        if after is None:
            break
    if on_terminal:
        click.echo(_CLEAR, nl=False, err=True)
    return {**answer, **numbers, "patterns": dict(sorted(patterns.items()))}


def _progress(seen: int, answer: Mapping[str, Any]) -> str:
    if answer["next"] == "file":
        return "writing the database anew"
    return f"looked at {seen} of {answer['total']}"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    from schemas.units import format_size

    count = f"{found['events']} events and {found['sessions']} sessions"
    yield f"{count} {'masked' if found['applied'] else 'would be masked'}"
    for name, rows in found["patterns"].items():
        yield f"  {name}: {rows}"
    if not found["applied"]:
        if found["unfinished"]:
            yield "an earlier prune was stopped before the old text was gone from the file"
        if found["unfinished"] or found["patterns"]:
            yield "do it with: session-buddy prune --apply"
        return
    if found["compaction"] is None:
        return
    before, after = (format_size(found["compaction"][when]) for when in ("before", "after"))
    yield f"the old text is gone from the database file ({before} before, {after} after)"
    if found["backups"]:
        yield (
            f"{found['backups']} backups in {found['backups_in']} were made before and still hold"
            " it: make a new one (session-buddy backup create), then delete those"
        )
    yield "copies that were put elsewhere hold it too; a secret that was stored should be changed"
