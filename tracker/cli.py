"""The ``session-buddy`` command: a thin client of the tracker's server (guide 10.1).

Each command imports what it needs when it runs: listing sessions must not wait for a database, or
for a validation library that only the server uses.
"""

from __future__ import annotations

import click

from tracker.client.console import debug_option, run
from tracker.commands.analytics import analytics
from tracker.commands.archive import archive_sessions
from tracker.commands.backup import backup
from tracker.commands.configuration import config, env
from tracker.commands.database import db
from tracker.commands.events import list_events
from tracker.commands.export import export
from tracker.commands.hook import hook
from tracker.commands.models import models
from tracker.commands.prune import prune
from tracker.commands.reindex import reindex
from tracker.commands.search import search
from tracker.commands.server import SERVICE, health, mcp
from tracker.commands.sessions import delete_session, get_session, list_sessions
from tracker.commands.spool import spool


def _version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from schemas.release import version

        click.echo(f"{SERVICE} {version()}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version.",
)
@debug_option
def session_buddy() -> None:
    """Store and show the sessions of admin shells and runbook runs."""


for _command in (
    mcp,
    health,
    list_sessions,
    get_session,
    list_events,
    analytics,
    archive_sessions,
    delete_session,
    prune,
    export,
    db,
    config,
    env,
    backup,
    spool,
    hook,
    models,
    search,
):
    session_buddy.add_command(_command)
models.add_command(reindex)


def main() -> None:
    """Entry point of the console script."""
    run(session_buddy, SERVICE)


if __name__ == "__main__":
    main()
