"""What became of a model that was to be brought, and what is said of one that is listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fetched:
    """How a fetch ended.

    Args:
        state: ``present``: it was there and is verified, nothing was brought; ``fetched``: brought
            and verified; ``unavailable``: no source had it; ``skipped``: semantic search is off.
        path: the model's folder; None when it is not there.
        reason: one line for a person.
        problems: why a model that is there does not embed, a line each; none: it was proved to.
    """

    state: Literal["present", "fetched", "unavailable", "skipped"]
    path: Path | None
    reason: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Installed:
    """One model and whether it is there.

    Args:
        name: of the model.
        state: judged by names and sizes only; ``verify`` reads the contents.
        chosen: whether the settings name it.
        path: where it is or would be.
        size: bytes of the complete model.
        dimensions: components of a vector; 0: only the model itself knows.
        licence: SPDX identifier; empty: not known.
    """

    name: str
    state: Literal["installed", "incomplete", "not installed"]
    chosen: bool
    path: Path
    size: int
    dimensions: int
    licence: str
