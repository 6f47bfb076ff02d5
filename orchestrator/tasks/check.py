"""What must be true before anything is changed: each check ends in a line that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command
from orchestrator.tasks.endpoints import PORT_SETTINGS, bindings, check_endpoints
from orchestrator.tasks.interpreter import find_interpreter
from orchestrator.tasks.listeners import is_ours, listener, served_by
from orchestrator.tasks.outcome import Outcome, changes_nothing
from orchestrator.tasks.scope import scope
from orchestrator.tasks.secret import check_secrets
from schemas.errors import InvalidInput, StepFailed
from schemas.settings import BY_NAME
from schemas.units import format_size, parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

_NEAREST = 'p=$1; while ! test -e "$p"; do p=$(dirname -- "$p"); done; '
_FREE = _NEAREST + 'df -Pk -- "$p"'
_WRITABLE = (
    f'for one; do set -- "$one"; {_NEAREST} if ! test -d "$p"; then echo "folder $p"; '
    'elif ! test -w "$p" || ! test -x "$p"; then echo "write $p"; else echo ok; fi; done'
)
_MEMORY = (
    "cat /proc/meminfo; "
    "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
)


@task
@changes_nothing
def python(c: Context) -> Outcome:
    """See that the host has an interpreter that a release can be made with (guide 1.1).

    Raises:
        StepFailed: none, or an older one; names what was found.
    """
    found = find_interpreter(c)
    outputs = {"python": found.path, "version": found.version}
    return Outcome(message=f"Python {found.version} ({found.path})", outputs=outputs)


@task
@changes_nothing
def memory(c: Context, minimum: str) -> Outcome:
    """See that the host, or the container that it is, has this much memory (guide 1.1).

    Args:
        c: the task's Context or Connection.
        minimum: such as ``2GB``.

    Raises:
        StepFailed: it has less.
    """
    wanted = parse_size(minimum)
    answer = command.run(c, ["sh", "-c", _MEMORY], check=False)
    total = memory_in(answer.stdout)
    if total is None:
        raise StepFailed("cannot tell how much memory there is", where=scope(c).host.name)
    if total < wanted:
        raise StepFailed(
            f"{format_size(total)} of memory, and {format_size(wanted)} are needed",
            where=scope(c).host.name,
            hint="give the machine more, or lower min_memory if you know that it is enough",
        )
    return Outcome(message=format_size(total), outputs={"bytes": total})


def memory_in(text: str) -> int | None:
    """Bytes of memory in the text of /proc/meminfo and of the control group's limit after it."""
    totals = []
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            totals.append(int(value.split()[0]) * 1024)
        elif name.isdigit():
            totals.append(int(name))
    return min(totals, default=None)


@task
@changes_nothing
def disk(c: Context, path: str, free: str) -> Outcome:
    """See that there is room below a folder, which need not exist yet (guide 1.1).

    Args:
        c: the task's Context or Connection.
        path: an absolute path.
        free: such as ``500MB``.

    Raises:
        StepFailed: there is less.
    """
    wanted = parse_size(free)
    answer = command.run(c, ["sh", "-c", _FREE, "sh", path])
    available = int(answer.stdout.splitlines()[-1].split()[3]) * 1024
    if available < wanted:
        raise StepFailed(
            f"{format_size(available)} free at {path}, and {format_size(wanted)} are needed",
            where=scope(c).host.name,
            hint=f"make room there, or keep the data elsewhere (df -h {path})",
        )
    return Outcome(message=f"{format_size(available)} free", outputs={"bytes": available})


@task(iterable=["paths"])
@changes_nothing
def writable(c: Context, paths: Sequence[str]) -> Outcome:
    """See that files can be made in these folders, or that the folders can be made.

    Raises:
        StepFailed: names the first that cannot.
    """
    listed = [paths] if isinstance(paths, str) else list(paths)
    lines = command.run(c, ["sh", "-c", _WRITABLE, "sh", *listed]).stdout.splitlines()
    user = scope(c).host.user
    for path, line in zip(listed, lines, strict=True):
        fault, _, nearest = line.partition(" ")
        if fault == "folder":
            raise StepFailed(
                f"{nearest} is a file, and {path} is to be a folder",
                where=scope(c).host.name,
                hint="move it away, or choose another folder",
            )
        if fault == "write":
            raise StepFailed(
                f"{user} may not write to {nearest}",
                where=scope(c).host.name,
                hint=f"{path} is needed: chown or chmod {nearest}, or choose another folder",
            )
    return Outcome(message=f"{len(listed)} writable")


@task
@changes_nothing
def port(c: Context, port: int, owner: str = "", host: str = "127.0.0.1") -> Outcome:
    """See that a port is free, or held by our own server (guide 6.1, 6.3).

    Args:
        c: the task's Context or Connection.
        port: its number.
        owner: ``session-buddy`` or ``mahavishnu``: the server of this deployment may hold it.
        host: the address that is to be listened on.

    Raises:
        StepFailed: another process holds it; names the process and what to do.
    """
    holder = listener(c, host, int(port))
    if holder is None:
        return Outcome(message="free")
    if owner and holder.pid is not None and is_ours(c, holder.pid, owner):
        return Outcome(message=f"held by this deployment's {owner} (pid {holder.pid})")
    end = f"end it (kill {holder.pid})" if holder.pid else "end it"
    served = served_by(c, holder.pid) if holder.pid else None
    if served:
        end = f"stop it: {served.stop_command}"
    setting = PORT_SETTINGS.get(owner)
    other = f", or choose another port: {BY_NAME[setting].env}=..." if setting else ""
    told = f", the {served.server} of the deployment in {served.home}" if served else ""
    raise StepFailed(
        f"port {port} is held by {holder}{told}", where=scope(c).host.name, hint=f"{end}{other}"
    )


@task
@changes_nothing
def settings(c: Context) -> Outcome:
    """See that the servers can listen as they are told to: on loopback or with TLS, on two ports.

    Raises:
        InvalidInput: they cannot; names the setting and where its value is from.
    """
    return Outcome(message=check_endpoints(scope(c).settings))


@task
@changes_nothing
def certificates(c: Context) -> Outcome:
    """See that the certificates and keys that the settings name can be read on the host.

    On this machine they are also tried out as the server will do it.

    Raises:
        StepFailed: names the first that cannot be read.
        InvalidInput: a key that others may read or that does not belong to its certificate.
    """
    bound = bindings(scope(c).settings).values()
    files = [str(path) for each in bound for path in (each.cert, each.key) if path is not None]
    if not files:
        return Outcome(message="no TLS")
    script = 'for one; do test -f "$one" && test -r "$one" || echo "$one"; done'
    missing = command.run(c, ["sh", "-c", script, "sh", *files]).stdout.splitlines()
    if missing:
        raise StepFailed(
            f"{missing[0]} cannot be read by {scope(c).host.user}",
            where=scope(c).host.name,
            hint="see docs/access.md for how to make a certificate and its key",
        )
    if scope(c).host.connection == "local":
        from tracker.web.tls import server_context

        for each in bound:
            if each.cert and each.key:
                server_context(each.cert, each.key)
    return Outcome(message=f"{len(files)} files")


@task(iterable=["durations", "sizes", "settings"])
@changes_nothing
def values(
    c: Context,
    durations: Sequence[str] = (),
    sizes: Sequence[str] = (),
    keep: int = 1,
    settings: Sequence[str] = (),
) -> Outcome:
    """See that a run's own values can be read, before a later step stumbles over one.

    Args:
        c: the task's Context or Connection.
        durations: such as ``30s``.
        sizes: such as ``500MB``.
        keep: how many of something are kept: one at the least.
        settings: full names of settings that have to have a value on the host.

    Raises:
        InvalidInput: names the first that cannot.
    """
    for text in durations:
        parse_duration(text)
    for text in sizes:
        parse_size(text)
    if int(keep) < 1:
        raise InvalidInput(
            f"{keep} cannot be kept", where=scope(c).host.name, hint="keep=1 or more"
        )
    for name in settings:
        if scope(c).settings[name] in {"", None}:
            raise InvalidInput(
                f"the setting {name} has no value",
                where=scope(c).host.name,
                hint="give it one in the inventory: settings of the host",
            )
    return Outcome(message="they can be read")


@task
@changes_nothing
def secrets(c: Context) -> Outcome:
    """See that signing keys are long, no placeholders, and closed to others (guide 1.3).

    Raises:
        InvalidInput: one is not; with what to do.
    """
    return Outcome(message=check_secrets(c))


@task(iterable=["names"])
@changes_nothing
def tools(c: Context, names: Sequence[str]) -> Outcome:
    """See that these programs are on the host.

    Raises:
        StepFailed: names those that are not.
    """
    listed = [names] if isinstance(names, str) else list(names)
    script = 'for one; do command -v "$one" >/dev/null || echo "$one"; done'
    missing = command.run(c, ["sh", "-c", script, "sh", *listed]).stdout.split()
    if missing:
        raise StepFailed(
            f"{', '.join(missing)} not found",
            where=scope(c).host.name,
            hint="install what brings them, or put their folder on the PATH",
        )
    return Outcome(message=", ".join(listed))
