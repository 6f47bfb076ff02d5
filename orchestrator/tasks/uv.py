"""Runs uv, with the package index that the user's pip has when uv has been given none.

uv reads neither ``PIP_*`` variables nor pip.conf. A machine whose index is known to pip only could
install this project and then not deploy it.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from invoke.context import Context

_TRANSLATED = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
_OWN = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_CONFIG_FILE",
)
_SECTIONS = ("global", "install", "wheel")
_NO_PACKAGE = re.compile(
    r"Failed to fetch|error sending request|dns error|Request failed|No solution found|"
    r"No matching distribution found|"
    r"not found in the (?:package registry|cache)|client error|timed out|Network connectivity",
    re.IGNORECASE,
)
_FRAME = re.compile(r"[^\x20-\x7e]+")
"""The lines and arrows that uv draws around its messages."""
# A release is code that runs: whatever the umask of this shell, only its owner may write to it.
OWNER_WRITES = ("sh", "-c", 'umask 022; exec "$@"', "sh")
QUIET = {"UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}


@dataclass(frozen=True)
class Uv:
    """uv on this machine; see ``run``."""

    control: Context

    def run(self, arguments: Sequence[str], *, timeout: float) -> None:
        """Run it."""
        run(self.control, arguments, timeout=timeout)


def pip(control: Context, arguments: Sequence[str], *, timeout: float) -> None:
    """Run pip on this machine, for what uv cannot do: fetch wheels for another one.

    Arguments and errors as those of ``run``. pip is told of the index that uv was told of.
    """
    named = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    known = {} if not named or os.environ.get("PIP_INDEX_URL") else {"PIP_INDEX_URL": named}
    words = ["tool", "run", "--from", "pip", "pip", *arguments]
    run(control, words, timeout=timeout, env=known)


def run(
    control: Context,
    arguments: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run uv on this machine.

    Args:
        control: the Context of this machine.
        arguments: what follows ``uv``.
        timeout: seconds.
        env: more variables.

    Raises:
        StepFailed: it failed; when an index may be the reason, with the setting that names one.
    """
    from uv import find_uv_bin

    try:
        program = find_uv_bin()
    except FileNotFoundError:
        raise StepFailed(
            "uv is not installed beside this program", hint="install it there: pip install uv"
        ) from None
    environ = {**(env or {}), **index_of_pip(control)}
    try:
        words = [*OWNER_WRITES, str(program), *arguments]
        command.run(control, words, env={**environ, **QUIET}, timeout=timeout)
    except command.CommandFailed as error:
        told = error.result.stderr if error.result is not None else ""
        if not _NO_PACKAGE.search(told):
            raise
        raise StepFailed(
            f"uv could not get a package: {_reason(told)}",
            where=error.where,
            hint="is the package index reachable? UV_DEFAULT_INDEX=https://... names another one",
        ) from None


def index_of_pip(control: Context) -> dict[str, str]:
    """Variables that tell uv on this machine what pip knows of indexes; their passwords are masked.

    Raises:
        InvalidInput: pip's configuration cannot be read.
    """
    if any(path.is_file() for path in _uv_files(os.environ)):
        return {}
    environ = index_environment(os.environ, _pip_files(os.environ))
    for value in environ.values():
        # An index's address may carry a password.
        if "@" in value:
            scope(control).secrets.add(value)
    return environ


def _reason(told: str) -> str:
    lines = [_FRAME.sub("", line).strip() for line in told.splitlines()]
    return " | ".join([line for line in lines if line and not line.startswith("Using ")][:3])


def index_environment(environ: Mapping[str, str], files: Iterable[str]) -> dict[str, str]:
    """Variables that tell uv what pip knows of indexes; none when uv was told something itself.

    Args:
        environ: the environment.
        files: contents of pip's configuration files, the least important one first.

    Raises:
        InvalidInput: one of the files is not what pip could read.
    """
    if any(environ.get(name) for name in _OWN):
        return {}
    found = _pip_options(environ, files)
    variables = {
        name: ("," if option == "find-links" else " ").join(found[option].split())
        for option, name in _TRANSLATED.items()
        if found.get(option)
    }
    if environ.get("SSL_CERT_FILE"):
        variables.pop("SSL_CERT_FILE", None)
    if found.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        variables["UV_NO_INDEX"] = "1"
    if ("UV_INDEX" in variables or "UV_FIND_LINKS" in variables) and not environ.get(
        "UV_INDEX_STRATEGY"
    ):
        # As pip does. What is installed is held to the hashes of the lock.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def _pip_options(environ: Mapping[str, str], files: Iterable[str]) -> dict[str, str]:
    """The options of pip as it sees them: files in order, and its variables over them."""
    found: dict[str, str] = {}
    for text in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(text)
        except configparser.Error as error:
            raise InvalidInput(f"pip's configuration cannot be read: {error.message}") from None
        for section in _SECTIONS:
            if parser.has_section(section):
                found |= {key.replace("_", "-"): value for key, value in parser[section].items()}
    for option in (*_TRANSLATED, "no-index"):
        if value := environ.get(f"PIP_{option.upper().replace('-', '_')}"):
            found[option] = value
    return found


def _uv_files(environ: Mapping[str, str]) -> list[Path]:
    return [_config_home(environ) / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]


def _config_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _pip_files(environ: Mapping[str, str]) -> list[str]:
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    places = [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        Path.home() / ".pip" / "pip.conf",
        _config_home(environ) / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
        *([Path(named)] if named else []),
    ]
    return [path.read_text(encoding="utf-8") for path in places if path.is_file()]
