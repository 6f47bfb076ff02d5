"""The options that say which sessions a command is about, and what they ask the server for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Function = TypeVar("Function", bound=Callable[..., Any])

_SESSION_OPTIONS = (
    click.option("--type", "session_type", help="Only of this type, such as admin_shell."),
    click.option("--component", help="Only of this component, such as mahavishnu."),
    click.option("--status", type=click.Choice(["active", "ended", "failed", "abandoned"])),
    click.option("--user", help="Only of this user."),
    click.option("--host", help="Only of this host."),
)
_TIME_OPTIONS = (
    click.option("--since", metavar="WHEN", help="Not before: 90m, 24h, 7d, or an ISO 8601 time."),
    click.option("--until", metavar="WHEN", help="Before: as --since."),
)
_ARCHIVED = click.option("--archived", is_flag=True, help="In the archive too.")


def session_options(function: Function) -> Function:
    """``--type --component --status --user --host --since --until --archived``."""
    for option in reversed((*_SESSION_OPTIONS, *_TIME_OPTIONS, _ARCHIVED)):
        function = option(function)
    return function


def time_options(function: Function) -> Function:
    """``--since --until --archived``."""
    for option in reversed((*_TIME_OPTIONS, _ARCHIVED)):
        function = option(function)
    return function


def asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """What these options ask the server for, as the query of a request.

    Raises:
        InvalidInput: a time is none.
    """
    query = dict(options)
    for name in ("since", "until"):
        if query.get(name):
            query[name] = _moment(query[name])
    if "session_type" in query:
        query["type"] = query.pop("session_type")
    if "archived" in query:
        query["archived"] = "true" if query["archived"] else None
    return query


def _moment(text: str) -> str:
    from datetime import UTC, datetime

    from schemas.moments import parse_moment

    return parse_moment(text, datetime.now(UTC)).isoformat()
