"""The commands of the service managers, as argument lists; pure, so they run anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import PurePath

Action = Literal["start", "stop", "restart", "status"]

SUPERVISOR_CONFIG = "supervisord.conf"
"""Name of supervisor's configuration in ``places.etc``."""

SYSTEMD_RUNS = "/run/systemd/system"
"""Exists exactly where systemd is PID 1 (sd_booted(3))."""


def unit_name(service: str) -> str:
    """The systemd unit of a server."""
    return f"{service}.service"


def systemctl(action: Action | Literal["daemon-reload"], unit: str, *, user: bool) -> list[str]:
    """Act on a unit.

    Args:
        action: what to do; ``daemon-reload`` needs no unit.
        unit: such as ``session-buddy.service``.
        user: of the user's own manager, not the system's.
    """
    scope = ["--user"] if user else []
    return ["systemctl", *scope, "--no-ask-password", action, *([unit] if unit else [])]


def supervisorctl(
    config: PurePath | str,
    action: Action | Literal["pid", "reread", "update", "shutdown"],
    program: str = "",
    *,
    folder: PurePath | str | None = None,
) -> list[str]:
    """Act on a program of a running supervisord.

    Args:
        config: supervisor's configuration file.
        action: what to do; ``pid`` without a program asks whether supervisord runs (exit code 0).
        program: such as ``session-buddy``; empty for what concerns supervisord itself.
        folder: where the executable is; None: found by PATH.
    """
    return [
        _in(folder, "supervisorctl"),
        "-c",
        str(config),
        action,
        *([program] if program else []),
    ]


def supervisor_shell(config: PurePath | str, *, folder: PurePath | str | None = None) -> list[str]:
    """A supervisorctl that reads its commands from standard input."""
    return [_in(folder, "supervisorctl"), "-c", str(config)]


def start_script(program: str) -> str:
    """What ``supervisor_shell`` is told to start a program anew, without waiting for it.

    Its own ``start`` returns when the program has lived for ``startsecs``, long after it answers.
    A program that is added is started by supervisord itself.
    """
    return f"stop {program}\nremove {program}\nadd {program}\n"


def supervisord(config: PurePath | str, *, folder: PurePath | str | None = None) -> list[str]:
    """Start supervisord; it goes into the background by itself and answers when this returns."""
    return [_in(folder, "supervisord"), "-c", str(config)]


def _in(folder: PurePath | str | None, name: str) -> str:
    return f"{folder}/{name}" if folder else name
