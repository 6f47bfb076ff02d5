"""Units of systemd: their names, folders, texts, and the commands that act on them."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from orchestrator.tasks import command
from orchestrator.tasks.placing import place
from orchestrator.tasks.rights import acts_as_root
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed
from tracker.web.manager import SYSTEMD_RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from invoke.context import Context

    from orchestrator.tasks.outcome import Outcome

State = Literal["started", "stopped", "restarted", "reloaded"]
STATES: tuple[State, ...] = ("started", "stopped", "restarted", "reloaded")
SYSTEM_FOLDER = PurePath("/etc/systemd/system")
_KINDS = "service|timer|socket|path|target|mount|automount|slice|swap"
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9:_.@\\-]*\.({_KINDS})")
_RUNS = {"active", "activating", "reloading"}
_LOOK = 'test -d "$1" && echo "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"'
_PROPERTIES = "LoadState,ActiveState,SubState,Result,MainPID,NeedDaemonReload"


def read_name(name: str) -> str:
    """The name of a unit; without a kind it is a service.

    Raises:
        InvalidInput: it is not one.
    """
    full = name if "." in name else f"{name}.service"
    if not _NAME.fullmatch(full):
        raise InvalidInput(
            f"{name!r} is not the name of a unit", hint=f"write name.kind, kind one of {_KINDS}"
        )
    return full


def systemctl_argv(verb: str, names: Sequence[str] = (), *, user: bool) -> list[str]:
    """Have systemd do something.

    Args:
        verb: as systemctl(1) has it, such as ``daemon-reload``.
        names: the units.
        user: of the user's own manager, not of the system's.
    """
    return ["systemctl", *(["--user"] if user else []), "--no-ask-password", verb, *names]


def show_argv(name: str, *, user: bool) -> list[str]:
    """Ask how a unit is."""
    return [*systemctl_argv("show", user=user), f"--property={_PROPERTIES}", name]


def shown_in(output: str) -> dict[str, str]:
    """The properties that ``show_argv`` prints."""
    return dict(line.partition("=")[::2] for line in output.splitlines() if "=" in line)


def verbs_for(state: State, shown: Mapping[str, str]) -> list[str]:
    """What systemctl has to be told so that a unit gets into a state; nothing when it is in it."""
    runs = shown.get("ActiveState") in _RUNS
    verb = {
        "started": "" if runs else "start",
        "stopped": "stop" if runs else "",
        "restarted": "restart",
        "reloaded": "reload" if runs else "start",
    }[state]
    if not verb:
        return []
    first = ["daemon-reload"] if shown.get("NeedDaemonReload") == "yes" else []
    return [*first, verb]


def need_systemd(c: Context) -> bool:
    """See that systemd runs on the host.

    Returns:
        Whether the user's own manager is meant, and not the system's.

    Raises:
        StepFailed: it does not.
    """
    answer = command.run(c, ["sh", "-c", _LOOK, "sh", SYSTEMD_RUNS], check=False)
    if not answer:
        raise StepFailed(
            "systemd does not run on this host, so it can keep no unit",
            where=scope(c).host.name,
            hint="process.start keeps a process without it, and schedule.cron starts one by time",
        )
    if acts_as_root(c):
        return False
    # Logins by cron and sudo do not have it, and without it nobody finds the user's manager.
    scope(c).env.setdefault("XDG_RUNTIME_DIR", answer.stdout.strip())
    return True


def folder_of(c: Context, *, user: bool) -> PurePath:
    """Where units go: the system's, or the user's own."""
    own = PurePath(scope(c).host.home) / ".config" / "systemd" / "user"
    return own if user else SYSTEM_FOLDER


def place_unit(c: Context, name: str, text: str, *, user: bool) -> Outcome:
    """Write a unit that ``systemd-analyze verify`` accepts."""
    mode = " --user" if user else ""
    return place(
        c,
        folder_of(c, user=user) / name,
        text.encode(),
        0o644,
        validate=f"systemd-analyze{mode} verify {{file}}",
    )


def reload_units(c: Context, *, user: bool) -> None:
    """Have systemd read its units again."""
    command.run(c, systemctl_argv("daemon-reload", user=user))


def quoted(argv: Sequence[str]) -> str:
    """An argument list as ``ExecStart=`` takes it (systemd.service(5), systemd.syntax(7))."""
    words = []
    for word in argv:
        text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
        words.append('"' + text.replace("$", "$$").replace("\n", "\\n") + '"')
    return " ".join(words)


def timer_units(
    name: str,
    line: str,
    calendar: str,
    *,
    persistent: bool = True,
    spread: str = "",
    folder: str = "",
) -> dict[str, str]:
    """The texts of a timer and of the service that it starts, by the units' names.

    Args:
        name: of both, without a kind.
        line: a line of sh.
        calendar: when, as systemd.time(7) has it.
        persistent: make up for a time that was missed while the machine was off.
        spread: a delay of at most this, so that many machines do not begin at once.
        folder: where the line is run; empty: the root or the user's home.
    """
    service = [
        "[Unit]",
        f"Description={name} (sessionops)",
        "",
        "[Service]",
        "Type=oneshot",
        *([f"WorkingDirectory={folder}"] if folder else []),
        f"ExecStart={quoted(['/bin/sh', '-c', line])}",
    ]
    timer = [
        "[Unit]",
        f"Description=when {name} runs (sessionops)",
        "",
        "[Timer]",
        f"OnCalendar={calendar}",
        f"Persistent={'true' if persistent else 'false'}",
        *([f"RandomizedDelaySec={spread}"] if spread else []),
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    texts = {f"{name}.service": service, f"{name}.timer": timer}
    return {unit: "\n".join(lines) + "\n" for unit, lines in texts.items()}
