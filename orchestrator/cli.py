"""The ``mahavishnu`` command (guide 10.1): a thin client of the servers, and the admin shell.

Each command imports what it needs when it runs, so that ``shell -c exit`` waits for nothing else.
"""

from __future__ import annotations

import click

from orchestrator.commands.access import generate_token, list_repos
from orchestrator.commands.configuration import config
from orchestrator.commands.server import mcp
from orchestrator.commands.sessions import sessions, shell, test_session_tracking
from orchestrator.servers import SERVICE
from tracker.client.console import debug_option, run


def _version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from schemas.release import version

        click.echo(f"{SERVICE} {version()}")
        context.exit()


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  mahavishnu shell                      # admin shell; ps() top() errors() sync()
  mahavishnu shell -c "ps(); sync()"
  mahavishnu mcp start                  # the server; stop, restart, health
  mahavishnu test-session-tracking      # sends a session and reads it back
  mahavishnu config | grep session""",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version.",
)
@debug_option
def mahavishnu() -> None:
    """Operate the session tracking stack: its admin shell, its server, its settings."""


for _command in (
    shell,
    mcp,
    sessions,
    test_session_tracking,
    config,
    generate_token,
    list_repos,
):
    mahavishnu.add_command(_command)


def main() -> None:
    """Entry point of the console script."""
    run(mahavishnu, SERVICE)


if __name__ == "__main__":
    main()
