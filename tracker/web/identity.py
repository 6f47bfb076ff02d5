"""What a server says of itself in ``/health``: which release and which configuration it runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from schemas.health import Health, Probe, overall
from schemas.release import release_id, version
from schemas.settings import configuration_fingerprint
from tracker.web.binding import Binding, binding
from tracker.web.tls import PROBE, certificate_probe, server_context

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.responses import Response

    from schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Identity:
    """A server as it was when it started; the configuration is that which it read then."""

    service: str
    version: str
    release: str
    configuration: str
    pid: int
    started_at: str
    binding: Binding

    @classmethod
    def of_this_process(cls, service: str, settings: Settings) -> Identity:
        """Of the process that calls this, at its start.

        Raises:
            InvalidInput: it may not listen where it is told to, or has no usable certificate.
        """
        bound = binding(settings, service)
        if bound.cert is not None and bound.key is not None:
            # Tried out now: what follows may open, and even migrate, a database.
            server_context(bound.cert, bound.key)
        return cls(
            service=service,
            version=version(),
            release=release_id(),
            configuration=configuration_fingerprint(settings.places),
            pid=os.getpid(),
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            binding=bound,
        )

    def health(self, probes: Iterable[Probe], essential: Iterable[str]) -> Health:
        """What ``/health`` answers now.

        Args:
            probes: checks that were really made.
            essential: names of the probes without which the server is unhealthy.
        """
        made = (*probes, *self._transport())
        return Health(
            status=overall(made, frozenset(essential)),
            version=self.version,
            service=self.service,
            release=self.release,
            configuration=self.configuration,
            pid=self.pid,
            started_at=self.started_at,
            probes=made,
        )

    def _transport(self) -> Iterator[Probe]:
        """How tokens travel; nothing where they do not leave the machine."""
        if self.binding.cert is not None:
            yield certificate_probe(self.binding.cert)
        elif self.binding.opened_by:
            yield Probe(PROBE, ok=None, value="off", hint=f"opened by {self.binding.opened_by}")


def health_answer(health: Health) -> Response:
    """``/health`` as an answer: 503 when unhealthy, so that a plain ``curl -f`` can tell."""
    return JSONResponse(health.as_dict(), 503 if health.status == "unhealthy" else 200)
