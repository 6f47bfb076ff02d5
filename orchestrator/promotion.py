"""The release that was verified in one environment, to be deployed to another: the very same wheel.

Errors are exceptions of ``schemas.errors``; nothing here prints.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from schemas.errors import NotFound, StepFailed

if TYPE_CHECKING:
    from invoke.context import Context

    from orchestrator.engine.listing import Plan
    from schemas.run import JournalEntry, RunRecord


@dataclass(frozen=True)
class Verified:
    """A release that passed all scenarios.

    Args:
        release: its id where it was verified.
        host: where that was.
        run_id: the run that verified it.
        wheel: what it was made from, brought to this machine.
    """

    release: str
    host: str
    run_id: str
    wheel: Path


def verified_release(environment: str, ops: Path | None = None) -> Verified:
    """The release that the newest ``verify`` of an environment found good, if it still runs there.

    Args:
        environment: its name.
        ops: the folder with ``environments/``; None: this project's.

    Raises:
        NotFound: nothing was verified there.
        StepFailed: the newest verification failed, was of some scenarios only, or another release
            runs there now.
        Unreachable: its host does not answer.
    """
    from orchestrator.operations import Target, prepare

    record, entries = _newest(environment)
    release, host = _proven(record, entries, environment)
    plan, connections, _ = prepare(
        "verify", {}, Target(environment=environment, ops=ops), remember=False
    )
    with closing(connections):
        c = _at(plan, connections.context(host), host)
        wheel = _bring(c, release, environment)
    return Verified(release, host, record.run_id, wheel)


def _newest(environment: str) -> tuple[RunRecord, list[JournalEntry]]:
    from orchestrator.engine.history import Filter
    from orchestrator.operations import get_run, list_runs

    runs = list_runs(limit=1000, wanted=Filter(runbook="verify"))
    ours = [one for one in runs if one.environment == environment and one.mode == "run"]
    if not ours:
        raise NotFound(
            f"nothing was verified in {environment}", hint=f"invoke verify -e {environment}"
        )
    return get_run(ours[0].run_id)


def _proven(record: RunRecord, entries: list[JournalEntry], environment: str) -> tuple[str, str]:
    """Release and host of a verification that counts."""
    again = f"invoke verify -e {environment}"
    if record.state != "succeeded":
        raise StepFailed(
            f"the newest verification of {environment} {record.state}: {record.error}",
            where=record.run_id,
            hint=f"mend it, then {again}",
        )
    if record.params.get("tags"):
        raise StepFailed(
            f"the newest verification was of scenarios tagged {record.params['tags']} only",
            where=record.run_id,
            hint=again,
        )
    for entry in entries:
        if entry.outputs.get("release"):
            return str(entry.outputs["release"]), entry.host
    raise NotFound("it does not tell which release it verified", where=record.run_id, hint=again)


def _at(plan: Plan, c: Context, name: str) -> Context:
    from orchestrator.engine.calls import scope_of
    from orchestrator.tasks.scope import attach

    host = next((one for one in plan.hosts if one.facts.name == name), None)
    if host is None:
        raise NotFound(f"{name} is no host of it any more", hint="verify it again")
    attach(c, scope_of(host, plan.secrets, "promote", check=True))
    return c


def _bring(c: Context, release: str, environment: str) -> Path:
    """The wheel of the release, from the host to this machine."""
    from orchestrator.tasks import command
    from orchestrator.tasks.atomic import write_atomically
    from orchestrator.tasks.release_record import current_release, folder_of
    from orchestrator.tasks.release_source import WHEEL_FOLDER
    from orchestrator.tasks.scope import scope
    from schemas.places import Places

    where, current = scope(c).host.name, current_release(c)
    if current != release:
        raise StepFailed(
            f"{release} was verified, and {current or 'no release'} runs there now",
            where=where,
            hint=f"invoke verify -e {environment}",
        )
    folder = folder_of(c, release) / WHEEL_FOLDER
    listed = command.run(c, ["ls", "--", folder], check=False).stdout.split()
    name = next((PurePath(one).name for one in listed if one.endswith(".whl")), None)
    content = command.read_file(c, folder / name) if name else None
    if name is None or content is None:
        raise NotFound(f"{release} keeps no wheel", where=where, hint="deploy it again, verify it")
    wheel = Places.of_this_user().state / "promoted" / release / name
    write_atomically(wheel, content, 0o600)
    return wheel
