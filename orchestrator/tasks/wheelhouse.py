"""The wheels of a lock for a host that reaches no package index: made here, brought there once.

Wheels are fetched on the control machine for the host's Python and system, each held to the lock's
hash, and kept by what they were fetched for. A host gets the files that it does not have. Knows
nothing of releases.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from orchestrator.tasks import command, uv
from orchestrator.tasks.scope import control_of, scope
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from invoke.context import Context

_FETCH_TIMEOUT = 1200.0
_KEPT = 3
"""Wheelhouses that the control machine keeps, the ones used last."""
_OLDEST_GLIBC = 17
_OLDEST_MUSL = 1
_fetching = threading.Lock()
"""Hosts that are deployed at the same time wait for one fetch instead of making two."""
_ENTRY = re.compile(r"\n(?=[A-Za-z0-9])")
# What PEP 508 calls an environment, and what the tags of wheels (PEP 425, PEP 600) are made of.
_DESCRIBE = """
import json, os, platform, sys, sysconfig
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, OSError, ValueError):
    libc = ""
print(json.dumps({
    "system": sysconfig.get_platform(), "libc": libc,
    "markers": {
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(), "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(), "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform, "extra": ""}}))
"""
_UNPACK_UV = """
import os, stat, sys, zipfile
wheel, to = sys.argv[1:]
with zipfile.ZipFile(wheel) as packed:
    name = next(n for n in packed.namelist() if n.endswith(".data/scripts/uv"))
    with open(to + ".tmp", "wb") as out:
        out.write(packed.read(name))
os.chmod(to + ".tmp", 0o755)
os.replace(to + ".tmp", to)
"""


@dataclass(frozen=True)
class Machine:
    """What decides which wheels a host can use.

    Args:
        markers: its environment as PEP 508 has it.
        platforms: the platform tags that it takes, the best first.
    """

    markers: Mapping[str, str]
    platforms: tuple[str, ...]

    @property
    def python(self) -> str:
        """Its Python, such as ``3.11.7``."""
        return self.markers["python_full_version"]


def machine(c: Context, python: str) -> Machine:
    """Ask a host's interpreter what it is.

    Raises:
        StepFailed: it does not answer.
    """
    told: dict[str, Any] = json.loads(command.run(c, [python, "-I", "-c", _DESCRIBE]).stdout)
    return Machine(told["markers"], platforms(told["system"], told["libc"]))


def platforms(system: str, libc: str) -> tuple[str, ...]:
    """The platform tags of a system, the best first.

    Args:
        system: as ``sysconfig.get_platform()`` says it, such as ``linux-x86_64``.
        libc: ``glibc 2.36``; empty: another C library.
    """
    plain = re.sub(r"[^A-Za-z0-9]", "_", system)
    if not plain.startswith("linux_"):
        return (plain,)
    architecture = plain.removeprefix("linux_")
    version = re.fullmatch(r"glibc 2\.(\d+).*", libc)
    if version is None:
        tags = [f"musllinux_1_{minor}" for minor in (2, _OLDEST_MUSL)]
    else:
        minors = range(int(version[1]), _OLDEST_GLIBC - 1, -1)
        tags = [f"manylinux_2_{minor}" for minor in minors] + ["manylinux2014"]
    return (*(f"{tag}_{architecture}" for tag in tags), plain)


def wanted(lock: str, markers: Mapping[str, str]) -> str:
    """The entries of a lock that an environment needs."""
    from packaging.markers import Marker

    kept = []
    for entry in _ENTRY.split(lock.strip()):
        head = entry.partition("--hash")[0].replace("\\", " ")
        marker = head.partition(";")[2].strip()
        if not marker or Marker(marker).evaluate(dict(markers)):
            kept.append(entry.rstrip())
    return "\n".join(kept) + "\n"


def download_arguments(requirements: PurePath, folder: PurePath, target: Machine) -> list[str]:
    """What pip is told, so that it fetches for another machine than its own."""
    words = ["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    words += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)]
    words += ["--dest", str(folder), "--python-version", target.python]
    number = "".join(target.python.split(".")[:2])
    words += ["--implementation", "cp", "--abi", f"cp{number}", "--abi", "abi3", "--abi", "none"]
    return words + [word for tag in target.platforms for word in ("--platform", tag)]


def fetch(control: Context, lock: bytes, target: Machine) -> Path:
    """The folder on the control machine with the wheels of a lock for a machine.

    Raises:
        StepFailed: one of them cannot be had.
    """
    requirements = wanted(lock.decode(), target.markers)
    parts = json.dumps([requirements, target.python, target.platforms]).encode()
    houses = scope(control).places.state / "wheelhouses"
    house = houses / hashlib.sha256(parts).hexdigest()[:16]
    with _fetching:
        if house.is_dir():
            os.utime(house)
            return house
        houses.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=houses) as scratch:
            listed, wheels = Path(scratch) / "requirements.txt", Path(scratch) / "wheels"
            listed.write_text(requirements, encoding="utf-8")
            uv.pip(control, download_arguments(listed, wheels, target), timeout=_FETCH_TIMEOUT)
            _name(wheels, house)
    for old in sorted(houses.glob("[0-9a-f]*"), key=lambda path: -path.stat().st_mtime)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return house


def _name(wheels: Path, house: Path) -> None:
    try:
        wheels.rename(house)
    except OSError:
        # Another process has fetched the same ones meanwhile.
        if not house.is_dir():
            raise


@dataclass(frozen=True)
class OfflineUv:
    """uv on a host, with the wheels that were brought there.

    Args:
        c: the host.
        program: uv itself there.
        wheels: the folder of wheels there.
    """

    c: Context
    program: PurePath
    wheels: PurePath

    def run(self, arguments: Sequence[str], *, timeout: float) -> None:
        """Run it. Arguments and errors as those of ``uv.run``."""
        env = {
            **uv.QUIET,
            "UV_OFFLINE": "1",
            "UV_NO_INDEX": "1",
            "UV_NO_CONFIG": "1",
            "UV_NO_CACHE": "1",
            "UV_FIND_LINKS": str(self.wheels),
        }
        words = [*uv.OWNER_WRITES, str(self.program), *arguments]
        command.run(self.c, words, env=env, timeout=timeout)


def bring(c: Context, house: Path, python: str) -> OfflineUv:
    """Bring wheels and uv to a host: what is there already is not sent again.

    Args:
        c: the host.
        house: the wheels, on this machine.
        python: the host's interpreter.

    Raises:
        StepFailed: there is no room, or uv is not among the wheels.
    """
    wheels = scope(c).places.state / "wheels"
    there = _sums(c, wheels)
    for file in sorted(house.glob("*.whl")):
        content = file.read_bytes()
        if there.get(file.name) != hashlib.sha256(content).hexdigest():
            command.write_file(c, wheels / file.name, content, 0o644)
    for name in sorted(there.keys() - {file.name for file in house.glob("*.whl")}):
        command.run(c, ["rm", "-f", "--", wheels / name])
    return OfflineUv(c, _uv(c, house, wheels, python), wheels)


def _sums(c: Context, wheels: PurePath) -> dict[str, str]:
    script = (
        'cd -- "$1" 2>/dev/null || exit 0; set -- *.whl; test -e "$1" && sha256sum -- "$@" || :'
    )
    lines = command.run(c, ["sh", "-c", script, "sh", wheels]).stdout.splitlines()
    return {name: digest for digest, _, name in _split(lines)}


def _split(lines: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for line in lines:
        yield line[:64], line[64:66], line[66:]


def _uv(c: Context, house: Path, wheels: PurePath, python: str) -> PurePath:
    found = next(house.glob("uv-*.whl"), None)
    if found is None:
        raise StepFailed("uv is not in the lock", hint="a host installs its release with it")
    program = scope(c).places.state / "uv" / found.name.split("-")[1] / "uv"
    if not command.run(c, ["test", "-x", program], check=False):
        command.run(c, ["mkdir", "-p", "--", program.parent])
        command.run(c, [python, "-I", "-c", _UNPACK_UV, wheels / found.name, program])
    return program


def uv_for(c: Context, lock: bytes, python: str) -> OfflineUv | uv.Uv:
    """The uv that installs a release: this machine's, or one on the host with its wheels.

    Args:
        c: the task's Context or Connection.
        lock: the hashed requirements.
        python: the host's interpreter.
    """
    if scope(c).host.connection == "local":
        return uv.Uv(c)
    target = machine(c, python)
    return bring(c, fetch(control_of(c), lock, target), python)
