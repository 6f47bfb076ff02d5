"""The ways in which a run can be carried out here: on this machine, and over SSH.

Each is tried, not assumed; one that is off says why.
"""

from __future__ import annotations

import importlib.util
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from schemas.places import ops_folder

if TYPE_CHECKING:
    from pathlib import Path

_SHELL_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Adapter:
    """One way to carry out a run.

    Args:
        name: as the guide's health line prints it.
        fault: why it does not work although it should; empty: it is well.
        off: why it is not used here; empty: it is used.
    """

    name: str
    fault: str = ""
    off: str = ""

    def __str__(self) -> str:
        if self.fault:
            return f"{self.name} (failed: {self.fault})"
        return f"{self.name} (disabled: {self.off})" if self.off else f"{self.name} (active)"


def adapters(ops: Path | None = None) -> tuple[Adapter, ...]:
    """Every adapter as it is now.

    Args:
        ops: the folder with ``inventory.yaml``; default: the one that this code belongs to.
    """
    return (_local(), _fabric(ops or ops_folder()))


def _local() -> Adapter:
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", "echo ready"],
            capture_output=True,
            text=True,
            timeout=_SHELL_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Adapter("local", fault=str(error))
    well = done.returncode == 0 and done.stdout.strip() == "ready"
    return Adapter("local", fault="" if well else f"/bin/sh exits {done.returncode}")


def _fabric(ops: Path) -> Adapter:
    if importlib.util.find_spec("fabric") is None:
        return Adapter("fabric", off="the package fabric is not installed")
    try:
        hosts = ssh_hosts(ops / "inventory.yaml")
    except SessionopsError as error:
        return Adapter("fabric", fault=error.message.splitlines()[0])
    return Adapter("fabric", off="" if hosts else "the inventory has no SSH host")


def ssh_hosts(inventory: Path) -> list[str]:
    """The hosts of an inventory that are reached over SSH.

    Raises:
        NotFound, InvalidInput: no such file, or not an inventory.
    """
    from schemas.inventory import Inventory
    from schemas.source import load_yaml, validate

    hosts = validate(load_yaml(inventory), Inventory).hosts
    return [name for name, host in hosts.items() if host.connection == "ssh"]
