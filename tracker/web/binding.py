"""Where a server may listen: on loopback, or elsewhere with TLS or an explicit opt-out.

Looks at settings only, never at a file or a socket, so that a deploy can ask it about another host.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput
from schemas.settings import BY_NAME, near_host

if TYPE_CHECKING:
    from schemas.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GUIDE = "docs/access.md"


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a server listens and how.

    Args:
        host: the address that it listens on.
        port: its port.
        names: names and addresses that its clients may call it by, besides this one.
        cert: its certificate; None: it speaks no TLS.
        key: the private key of the certificate; None as ``cert``.
        opened_by: what allows it to speak no TLS beyond loopback; empty: nothing has to.
    """

    host: str
    port: int
    names: tuple[str, ...] = ()
    cert: Path | None = None
    key: Path | None = None
    opened_by: str = ""

    @property
    def near(self) -> str:
        """What a client on the same machine connects to."""
        return near_host(self.host)


def binding(settings: Settings, service: str) -> Binding:
    """Where the settings tell a server to listen.

    Args:
        settings: the settings in force.
        service: ``session-buddy`` or ``mahavishnu``.

    Raises:
        InvalidInput: tokens would cross a network in clear, or a certificate has no key.
    """
    server = service.replace("-", "_")
    host = settings.text(f"{server}.host")
    cert, key = (settings.text(f"{server}.tls.{part}") for part in ("cert", "key"))
    if bool(cert) != bool(key):
        given, missing = ("cert", "key") if cert else ("key", "cert")
        raise InvalidInput(
            f"{server}.tls.{given} is set and {server}.tls.{missing} is not",
            where=settings.source(f"{server}.tls.{given}"),
            hint=f"set {BY_NAME[f'{server}.tls.{missing}'].env} too; see {_GUIDE}",
        )
    opened_by = ""
    if not cert and not is_loopback(host):
        if not settings.flag(f"{server}.tls.insecure"):
            raise _in_clear(settings, server, host)
        opened_by = settings.source(f"{server}.tls.insecure")
    names = tuple(str(name).casefold() for name in settings[f"{server}.names"])
    return Binding(
        host,
        settings.count(f"{server}.port"),
        names,
        Path(cert) if cert else None,
        Path(key) if key else None,
        opened_by,
    )


def _in_clear(settings: Settings, server: str, host: str) -> InvalidInput:
    wanted = BY_NAME[f"{server}.tls.cert"].env
    return InvalidInput(
        f"{host!r} is not an address of loopback, and tokens would cross the network in clear",
        where=settings.source(f"{server}.host"),
        hint=f"set {wanted} and {wanted.removesuffix('CERT')}KEY ({_GUIDE}), "
        f"or set {BY_NAME[f'{server}.host'].env} to 127.0.0.1 and use an SSH tunnel",
    )


def is_loopback(host: str) -> bool:
    """Whether an address, or the name ``localhost``, leads to this machine and nowhere else."""
    address = as_address(host)
    return host == "localhost" if address is None else address.is_loopback


def as_address(host: str) -> Address | None:
    """The address that a text is, or None; an IPv4 address in IPv6's clothes is that IPv4 one.

    A socket that listens on ``::`` sees every IPv4 client so (RFC 4291 section 2.5.5.2).
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
