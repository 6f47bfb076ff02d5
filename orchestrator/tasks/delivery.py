"""Messages to people through Apprise: mail, chat, pagers. Knows no run and no host."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

_TYPES = {"P1": "failure", "P2": "failure", "P3": "warning", "P4": "info"}
"""The severities of the guide (8.4), as Apprise colours messages."""


def deliver(urls: Sequence[str], title: str, message: str, severity: str) -> int:
    """Send a message to every address.

    Args:
        urls: addresses as Apprise writes them; they hold secrets.
        title: a short line.
        message: the text.
        severity: ``P1`` to ``P4``.

    Returns:
        How many services took it: all of them.

    Raises:
        InvalidInput: an address that Apprise does not know; only its kind is told.
        StepFailed: a service did not take it; those that did are told.
    """
    from apprise import Apprise, NotifyType

    # Its log quotes addresses.
    logging.getLogger("apprise").disabled = True
    services = []
    for url in urls:
        service = Apprise()
        if not service.add(url):
            raise InvalidInput(
                f"Apprise does not know the address {kind_of(url)}",
                where="mahavishnu.notify_urls",
                hint="see https://github.com/caronc/apprise/wiki for how addresses are written",
            )
        services.append((kind_of(url), service))
    failed = [
        kind
        for kind, service in services
        if not service.notify(body=message, title=title, notify_type=NotifyType(_TYPES[severity]))
    ]
    if failed:
        raise StepFailed(
            f"{', '.join(failed)} did not take the message "
            f"({len(services) - len(failed)} of {len(services)} did)",
            hint="is the service up, and its address right? MAHAVISHNU_NOTIFY_URLS has it",
        )
    return len(services)


def kind_of(url: str) -> str:
    """What may be shown of an address: ``slack://...``."""
    scheme, found, _ = url.partition("://")
    return f"{scheme}://..." if found and scheme.isalnum() else "that has no ://"
