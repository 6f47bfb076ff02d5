"""``session-buddy analytics``: numbers over sessions (guide 3 step 6.3, 8.1)."""

from __future__ import annotations

import click

from tracker.client.console import format_option, load_settings, print_json, print_lines
from tracker.commands.connection import API, tracker

_SECONDS = 60.0


@click.group()
def analytics() -> None:
    """Numbers over what was recorded."""


@analytics.command()
@click.option("--range", "span", default="7d", show_default=True, help="Up to now: 24h, 30d.")
@format_option
def sessions(span: str, as_json: bool) -> None:
    """Count sessions: states, durations, commands, days, components, users, failures."""
    from tracker.client.zone import zone_name

    with tracker(load_settings(), "read", timeout=_SECONDS) as client:
        found = client.get(f"{API}/analytics/sessions", range=span, zone=zone_name())
    if as_json:
        print_json(found)
        return
    from tracker.client.charts import analytics_lines
    from tracker.client.table import screen_width

    print_lines(analytics_lines(found, width=screen_width()))
