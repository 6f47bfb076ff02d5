"""``mahavishnu generate-token`` and ``list-repos``: the API as its users see it (guide 4.5)."""

from __future__ import annotations

import re
from pathlib import Path

import click

from schemas.errors import NotAuthorised
from schemas.keyring import SCOPES, SECRET_SETTINGS
from tracker.client.console import format_option, load_settings, print_json

LONGEST_MINUTES = 43_200
SCRAPE_MINUTES = 527_040
"""366 days."""

_TOKEN = re.compile(r"[\x21-\x7e]+")
"""What an HTTP header can carry; anything else is no token of ours."""


@click.command(
    "generate-token",
    epilog="""\b
Examples:
  TOKEN=$(mahavishnu generate-token)
  mahavishnu generate-token --subject dashboard --scope read --minutes 1440
  mahavishnu generate-token --audience session-buddy --scope ingest
  mahavishnu generate-token --scope metrics > scrape-token""",
)
@click.option("--subject", help="Who it is for.  [default: your login name]")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=["read"],
    show_default=True,
    help="What it allows; may be given again.",
)
@click.option(
    "--minutes",
    type=click.IntRange(1, SCRAPE_MINUTES),
    help=f"Until it expires: {LONGEST_MINUTES} at the most, and {SCRAPE_MINUTES} for metrics alone."
    "  [default: the setting auth_expire_minutes; for metrics alone the most]",
)
@click.option(
    "--audience",
    type=click.Choice(sorted(SECRET_SETTINGS)),
    help="The server that it is for.  [default: mahavishnu; session-buddy for metrics alone]",
)
def generate_token(
    subject: str | None, scopes: tuple[str, ...], minutes: int | None, audience: str | None
) -> None:
    """Print a token for the API.

    It is signed with your own key, which only you can read.
    """
    from schemas.keyring import load_keys, mint
    from tracker.client.tokens import login_name

    settings = load_settings()
    # It shows numbers and nothing else, and a scraper has nobody to renew its token each month.
    scrapes = set(scopes) == {"metrics"}
    usual = SCRAPE_MINUTES if scrapes else settings.count("mahavishnu.auth_expire_minutes")
    minutes, audience = minutes or usual, audience or ("session-buddy" if scrapes else "mahavishnu")
    if minutes > LONGEST_MINUTES and not scrapes:
        raise click.BadParameter(
            f"{minutes} is more than {LONGEST_MINUTES}, which is the most for {', '.join(scopes)}",
            param_hint="--minutes",
        )
    keys = load_keys(settings, audience)
    click.echo(mint(keys, audience, subject or login_name(), scopes, minutes))


@click.command(
    "list-repos",
    epilog="""\b
Examples:
  mahavishnu list-repos --token-file token.txt
  MAHAVISHNU_TOKEN=$(mahavishnu generate-token) mahavishnu list-repos""",
)
@click.option("--token", envvar="MAHAVISHNU_TOKEN", help="Other users of this machine can see it.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the token.",
)
@format_option
def list_repos(token: str | None, token_file: Path | None, as_json: bool) -> None:
    """List the repositories of the settings.

    The server lists them, to who shows it a token.
    """
    from orchestrator.listing import repository_listing
    from orchestrator.servers import client_with

    if token_file is not None:
        token = token_file.read_text(encoding="utf-8").strip()
    if token is not None and not _TOKEN.fullmatch(token):
        raise NotAuthorised(
            "401 Unauthorized: this is not a token", hint="make one with: mahavishnu generate-token"
        )
    with client_with(load_settings(), token) as client:
        found = client.get("/api/v1/repos")["repos"]
    if as_json:
        print_json(found)
    else:
        click.echo(repository_listing(found))
