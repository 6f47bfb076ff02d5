"""``mahavishnu config``: what is set, and where it was set (guide 2, 6.1)."""

from __future__ import annotations

import click

from tracker.client.console import format_option, load_settings, print_json, print_lines


@click.command()
@format_option
def config(as_json: bool) -> None:
    """Show the settings in force and their sources.

    A secret is shown as its fingerprint only.
    """
    from tracker.client.configuration import configuration, configuration_lines

    shown = configuration(load_settings())
    if as_json:
        print_json(shown)
    else:
        print_lines(configuration_lines(shown))
