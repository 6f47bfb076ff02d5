"""What a server says of itself in ``/health``, and what a health command prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["healthy", "degraded", "unhealthy"]


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of one check that was really made.

    Args:
        name: as the guide prints it, such as ``Database``.
        ok: whether it is as it should be; None: it is off or not to be had here, as allowed.
        value: one or two words, such as ``connected``.
        hint: what to do when it is not ok, or why it is off.
    """

    name: str
    ok: bool | None
    value: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of ``/health``."""

    status: Status
    version: str
    service: str
    release: str
    configuration: str
    pid: int
    started_at: str
    probes: tuple[Probe, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Health:
        """From JSON; a server of another release may send more or less than this one knows."""
        known = {key: data[key] for key in cls.__slots__ if key in data and key != "probes"}
        probes = tuple(
            Probe(**{key: probe[key] for key in Probe.__slots__ if key in probe})
            for probe in data.get("probes", ())
        )
        blank = {
            "status": "unhealthy",
            "version": "",
            "service": "",
            "release": "",
            "configuration": "",
        }
        return cls(**{**blank, "pid": 0, "started_at": "", **known}, probes=probes)


def overall(probes: tuple[Probe, ...], essential: frozenset[str]) -> Status:
    """Unhealthy if an essential probe failed, degraded if another one did."""
    failed = {probe.name for probe in probes if probe.ok is False}
    if failed & essential:
        return "unhealthy"
    return "degraded" if failed else "healthy"
