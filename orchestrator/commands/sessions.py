"""``mahavishnu shell``, ``sessions`` and ``test-session-tracking`` (guide 3 step 4, 4.1, 10.1)."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from tracker.client.console import format_option, load_settings, print_json


@click.command(
    epilog="""\b
Examples:
  mahavishnu shell
  mahavishnu shell -c "ps(); top(); sync()"
  echo "errors(5)" | mahavishnu shell"""
)
@click.option("-c", "code", metavar="CODE", help="Run this and leave; needs no terminal.")
def shell(code: str | None) -> int:
    """Open the IPython admin shell.

    What is done in it is recorded, but for lines that begin with a space. With CODE, or without a
    terminal to read from, the exit code tells whether the code failed.
    """
    settings = load_settings()
    from orchestrator.shell.start import run

    if code is None and not sys.stdin.isatty():
        code = sys.stdin.read()
    return run(settings, code)


@click.command()
@click.option("--limit", type=click.IntRange(1, 200), default=10, show_default=True)
@format_option
def sessions(limit: int, as_json: bool) -> None:
    """List your sessions on this machine."""
    from orchestrator.listing import sessions as own_sessions

    found = own_sessions(load_settings(), limit)
    if as_json:
        print_json(found)
    else:
        click.echo(found)


@click.command("test-session-tracking")
@format_option
def test_session_tracking(as_json: bool) -> int:
    """Send a session and read it back.

    Exits 1 unless all of it works.
    """
    from orchestrator.tracking import check_tracking
    from tracker.client.show import probe_lines

    probes = []
    for probe in check_tracking(load_settings()):
        probes.append(probe)
        if not as_json:
            click.echo("\n".join(probe_lines(probe)))
    if as_json:
        print_json([asdict(probe) for probe in probes])
    return 0 if all(probe.ok for probe in probes) else 1
