"""Whether the servers can listen where the settings say: pure, before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.errors import InvalidInput
from schemas.settings import BY_NAME
from tracker.web.binding import Binding, binding, is_loopback

if TYPE_CHECKING:
    from schemas.settings import Settings

PORT_SETTINGS = {"session-buddy": "session_buddy.port", "mahavishnu": "mahavishnu.port"}
_METRICS = "mahavishnu.observability.metrics_port"


def bindings(settings: Settings) -> dict[str, Binding]:
    """Where each server is to listen, by its name.

    Raises:
        InvalidInput: tokens would cross a network in clear, or a certificate has no key.
    """
    return {server: binding(settings, server) for server in PORT_SETTINGS}


def check_endpoints(settings: Settings) -> str:
    """See that the servers are to listen on loopback or with TLS, each on a port of its own.

    Returns:
        What was seen, for a person.

    Raises:
        InvalidInput: names the setting and where its value is from.
    """
    found = bindings(settings)
    names = list(PORT_SETTINGS.values())
    if settings.flag("mahavishnu.observability.metrics_enabled"):
        names.append(_METRICS)
    taken: dict[int, str] = {}
    for name in names:
        other = taken.setdefault(settings.count(name), name)
        if other != name:
            raise InvalidInput(
                f"{name} and {other} are the same port, {settings.count(name)}",
                where=settings.source(name),
                hint=f"choose another one: {BY_NAME[name].env}=...",
            )
    return f"{len(names)} ports {_where(found)}"


def _where(found: dict[str, Binding]) -> str:
    opened = [
        f"{server} IN CLEAR by {each.opened_by}" for server, each in found.items() if each.opened_by
    ]
    beyond = [server for server, each in found.items() if not is_loopback(each.host)]
    if opened:
        return f"({', '.join(opened)})"
    return f"with TLS beyond loopback: {', '.join(beyond)}" if beyond else "on loopback"
