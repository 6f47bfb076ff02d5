"""Whether the settings say where the servers can listen: pure, before anything is changed."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput
from schemas.settings import BY_NAME

if TYPE_CHECKING:
    from schemas.settings import Settings

PORT_SETTINGS = {"session-buddy": "session_buddy.port", "mahavishnu": "mahavishnu.port"}
_HOSTS = ("session_buddy.host", "mahavishnu.host")
_METRICS = "mahavishnu.observability.metrics_port"


def check_endpoints(settings: Settings) -> int:
    """See that the servers are to listen on loopback, each on a port of its own.

    Returns:
        How many ports there are.

    Raises:
        InvalidInput: names the setting and where its value is from.
    """
    for name in _HOSTS:
        host = settings.text(name)
        if not _is_loopback(host):
            raise InvalidInput(
                f"{host!r} is not an address of loopback, and the servers speak no TLS",
                where=settings.source(name),
                hint=f"set {BY_NAME[name].env} to 127.0.0.1; from elsewhere use an SSH tunnel",
            )
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
    return len(names)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
