"""Whom a client believes over TLS, and what to tell a person when it believes nobody.

Imports ``ssl`` late: most commands speak to loopback without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput
from schemas.settings import BY_NAME

if TYPE_CHECKING:
    import ssl

    from schemas.settings import Settings

_FIRST = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL; Python has no name for it."""

_EXPIRED = {9, 10}
_OTHER_NAME = {62, 64}
"""X509_V_ERR_* of OpenSSL, as in ``ssl.SSLCertVerificationError.verify_code``."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a client believes.

    Args:
        cert: the file of this machine's own server: exactly its certificate is believed, whatever
            names are in it and however old it is, since it is right here.
        ca_file: CA to believe; None: those of the system. Names and dates are checked.
        in_clear: whether a token may leave this machine without TLS.
        prefix: of the variables that hints name, such as ``SESSION_BUDDY``.
    """

    cert: Path | None = None
    ca_file: Path | None = None
    in_clear: bool = False
    prefix: str = "SESSION_BUDDY"

    @classmethod
    def of(cls, settings: Settings, server: str) -> Trust:
        """As the settings say for ``session_buddy`` or ``mahavishnu``."""
        near = not settings.text(f"{server}.url")
        cert = settings.text(f"{server}.tls.cert") if near else ""
        ca_file = settings.text(f"{server}.ca_file")
        return cls(
            Path(cert) if cert else None,
            Path(ca_file) if ca_file and not near else None,
            settings.flag(f"{server}.tls.insecure"),
            BY_NAME[f"{server}.url"].env.removesuffix("_URL"),
        )

    def context(self) -> ssl.SSLContext:
        """For new connections.

        Raises:
            InvalidInput: a file that cannot be used.
        """
        import ssl

        if self.cert is not None:
            return _pinned(self.cert)
        try:
            context = ssl.create_default_context(
                cafile=str(self.ca_file) if self.ca_file is not None else None
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "there is no certificate in it"
            raise InvalidInput(
                f"this CA file cannot be used: {reason}",
                where=str(self.ca_file),
                hint=f"copy the CA's certificate (PEM) here, or correct {self.prefix}_CA_FILE",
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def hint(self, error: ssl.SSLError) -> str:
        """What to do after TLS has failed."""
        code = getattr(error, "verify_code", None)
        if self.cert is not None:
            if code is None:
                return "if it was started before its certificate was set, restart it"
            return f"it shows another certificate than {self.cert}; is it another server?"
        if code is None:
            return f"if that port speaks no TLS, write http:// in {self.prefix}_URL"
        return self._distrust(code)

    def _distrust(self, code: int) -> str:
        if code in _EXPIRED:
            return "renew the certificate on the server, and look at the clock of this machine"
        if code in _OTHER_NAME:
            return f"write a name that is in the certificate into {self.prefix}_URL"
        if self.ca_file is None:
            return f"name the CA that signed it: {self.prefix}_CA_FILE"
        return f"{self.ca_file} is not the CA that signed it; see {self.prefix}_CA_FILE"


def _pinned(cert: Path) -> ssl.SSLContext:
    import ssl

    try:
        # Around the PEM there may be text in any language.
        first = _FIRST.search(cert.read_text(encoding="ascii", errors="replace"))
    except OSError as error:
        raise InvalidInput(
            f"the server's certificate cannot be read: {error.strerror}",
            where=str(cert),
            hint="see docs/access.md; who may not read it can ask the server by a url",
        ) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    # The first is the server's own and signs no others; the CA behind it might sign anybody's.
    context.verify_flags |= ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
    try:
        context.load_verify_locations(cadata=first.group() if first else "")
    except (ssl.SSLError, ValueError):
        raise InvalidInput("there is no certificate in this file", where=str(cert)) from None
    return context
