"""``session-buddy config`` and ``env``: what is set, and where it was set (guide 2)."""

from __future__ import annotations

import click

from schemas.errors import NotFound
from tracker.client.console import format_option, load_settings, print_json, print_lines


@click.command()
@click.option("--fingerprint", is_flag=True, help="Only the fingerprint of the configuration.")
@format_option
def config(fingerprint: bool, as_json: bool) -> None:
    """Show every setting and where it comes from. Secrets are shown as fingerprints."""
    from tracker.client.configuration import configuration, configuration_lines

    shown = configuration(load_settings())
    if fingerprint:
        click.echo(shown["fingerprint"])
    elif as_json:
        print_json(shown)
    else:
        print_lines(configuration_lines(shown))


@click.command()
@click.option("--shell", is_flag=True, help="Lines that a POSIX shell can evaluate.")
@format_option
def env(shell: bool, as_json: bool) -> None:
    """Print the rendered environment file.

    In a shell: eval "$(session-buddy env --shell)"
    """
    from schemas.settings import read_env_file
    from tracker.client.configuration import shell_exports

    settings = load_settings()
    path = settings.places.env_file
    if not path.is_file():
        raise NotFound("there is no environment file", where=str(path), hint="invoke deploy")
    if as_json:
        print_json(read_env_file(path))
    elif shell:
        print_lines(shell_exports(settings))
    else:
        click.echo(path.read_text(encoding="utf-8"), nl=False)
