"""A server's certificate: read, checked before it is used, renewed while the server runs.

Knows files and TLS (RFC 8446); nothing of routes, tokens or clients.
"""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from schemas.errors import InvalidInput
from schemas.health import Probe

if TYPE_CHECKING:
    from pathlib import Path

PROBE = "TLS"
_SOON = timedelta(days=14)
_SHARE_OF_LIFE = 6
"""A certificate that lives for a week only is due later than one that lives for a year."""

_log = structlog.get_logger("tls")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says of itself.

    Args:
        path: its file.
        names: the DNS names and addresses that it is for; wildcards are left out.
        begins: when it becomes valid.
        ends: when it expires.
    """

    path: Path
    names: tuple[str, ...]
    begins: datetime
    ends: datetime

    def probe(self, now: datetime) -> Probe:
        """Whether it is valid, and will be for a while, as a line of ``/health``."""
        hint = f"renew {self.path}; the server takes the new one by itself"
        if now >= self.ends:
            return Probe(PROBE, ok=False, value=f"expired on {self.ends:%Y-%m-%d}", hint=hint)
        if now < self.begins:
            hint = "look at the clock of this machine"
            return Probe(PROBE, ok=False, value=f"not valid until {self.begins}", hint=hint)
        soon = min(_SOON, (self.ends - self.begins) / _SHARE_OF_LIFE)
        if now >= self.ends - soon:
            return Probe(PROBE, ok=False, value=f"expires on {self.ends:%Y-%m-%d}", hint=hint)
        return Probe(PROBE, ok=True, value=f"valid until {self.ends:%Y-%m-%d}")


def read_certificate(path: Path) -> Certificate:
    """The first certificate of a file, which is the server's own.

    Raises:
        InvalidInput: no such file, or no certificate in it.
    """
    from cryptography import x509

    content = _read(path, "certificate")
    try:
        found = x509.load_pem_x509_certificate(content)
        names = _names(found)
    except ValueError:
        raise InvalidInput(
            "there is no certificate in this file",
            where=str(path),
            hint="it has to be PEM, with the server's own certificate first",
        ) from None
    return Certificate(path, names, found.not_valid_before_utc, found.not_valid_after_utc)


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """What a server accepts TLS with; files that are renewed are taken at the next handshake.

    Raises:
        InvalidInput: a file is missing, unreadable, open to others, or the two do not match.
    """
    renewal = _Renewal(cert, key)
    context = renewal.context
    context.sni_callback = renewal.at_handshake
    return context


def _names(certificate: object) -> tuple[str, ...]:
    from cryptography import x509

    assert isinstance(certificate, x509.Certificate)  # noqa: S101 -- for the type only
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [name.casefold() for name in found.get_values_for_type(x509.DNSName)]
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return tuple(name for name in names if "*" not in name) + tuple(addresses)


class _Renewal:
    """The context for new connections, and how its files looked when it was made."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self._seen = self._stamp()
        self.context = _context(cert, key)

    def at_handshake(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext
    ) -> None:
        """Called by OpenSSL when a client has said hello."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self.context = _context(self._cert, self._key)
                _log.info("certificate taken anew", cert=str(self._cert))
            except InvalidInput as error:
                # The key may be written a moment after the certificate.
                _log.error("certificate not taken", reason=error.message, where=error.where)
        connection.context = self.context

    def _stamp(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(_look(path) for path in (self._cert, self._key))


def _look(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # The last for a key whose rights were put right.
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_ctime_ns


def _context(cert: Path, key: Path) -> ssl.SSLContext:
    read_certificate(cert)
    _read(key, "key")
    _check_closed(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or ""
        if reason == "KEY_VALUES_MISMATCH":
            message = f"this key does not belong to the certificate {cert}"
        else:
            message = f"certificate {cert} and this key cannot be used"
        raise InvalidInput(
            message, where=str(key), hint="both have to be PEM, the key without a passphrase"
        ) from None
    return context


def _check_closed(key: Path) -> None:
    """Only its owner may read a key; of root's keys a group may (the rule of PostgreSQL 19.9.1)."""
    found = key.stat()
    of_root = found.st_uid == 0 != os.geteuid()
    mode = stat.S_IMODE(found.st_mode)
    if mode & (0o037 if of_root else 0o077):
        message = f"others may read this key (mode {mode:04o})"
        raise InvalidInput(message, where=str(key), hint=f"chmod 600 {key}")


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"the {what} cannot be read: {error.strerror}",
            where=str(path),
            hint="see docs/access.md for how to make one",
        ) from None


def certificate_probe(path: Path) -> Probe:
    """How the certificate of a server is now; the file is read again, for it may be renewed."""
    try:
        return read_certificate(path).probe(datetime.now(UTC))
    except InvalidInput as error:
        return Probe(PROBE, ok=False, value=error.message, hint=f"{error.where}; {error.hint}")
