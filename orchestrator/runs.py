"""What every face calls about runs that exist already: go on with one, take one back.

Errors are exceptions of ``schemas.errors``; nothing here prints.
"""

from __future__ import annotations

import os
import socket
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.run_params import params_again, source_of
from schemas.errors import Busy, InvalidInput, SessionopsError
from schemas.places import Places
from schemas.run import ALIVE, RESUMABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.engine.ask import Ask
    from orchestrator.engine.connect import Connections
    from orchestrator.engine.environment import Consent
    from orchestrator.engine.listing import Plan
    from orchestrator.engine.report import RunEvent
    from orchestrator.engine.run import RunResult
    from orchestrator.engine.undo import Reversal
    from schemas.run import JournalEntry, RunRecord


def resume_run(
    run_id: str,
    secrets: Mapping[str, Any] | None = None,
    *,
    accept_changes: bool = False,
    consent: Consent | None = None,
    listen: Callable[[RunEvent], None] | None = None,
    ask: Ask | None = None,
) -> RunResult:
    """Go on with a run that broke off: no finished step is repeated, none is left out.

    Args:
        run_id: the run, the beginning of its name, or ``latest``.
        secrets: its secret parameters, which no record keeps, unless their variables are set.
        accept_changes: go on although what is left to do is planned differently now.
        consent: how the run's environment is asked for its leave; None: at the terminal.
        listen: told of everything while it happens.
        ask: puts questions to a person; None: the terminal, and ``live_runs.answer_run``.

    Raises:
        NotFound: no such run, or its runbook, inventory or hosts are gone.
        Busy: it is alive, or somebody else holds its lock.
        InvalidInput: it ended well, it only checked, a secret is missing, or the plan differs.
        Frozen, NotAuthorised: as ``run_runbook``.
    """
    from pathlib import Path

    from orchestrator.engine.environment import Consent, variables
    from orchestrator.engine.resume import differences, past_of
    from orchestrator.engine.start import Options, Origin, Part, conduct
    from orchestrator.operations import Target, prepare

    record, entries = _idle(run_id)
    if record.mode == "check" or record.state not in RESUMABLE:
        what = "only checked" if record.mode == "check" else f"is {record.state}"
        raise InvalidInput(
            f"the run {record.run_id} {what}: there is nothing to go on with",
            hint=f"what can be resumed is {', '.join(RESUMABLE)}",
        )
    source = source_of(record)
    environ = variables(Path(record.inventory), record.environment)
    params = params_again(record, secrets or {}, environ)
    target = Target(record.inventory or None, record.limit or None, environment=record.environment)
    leave = consent or Consent()
    if leave.override is None and record.freeze_override:
        leave = replace(leave, override=record.freeze_override)
    plan, connections, place = prepare(source, params, target, remember=True, consent=leave)
    with closing(connections):
        past = past_of(entries, plan.loaded)
        notes = [
            f"{step} on {host} was begun and not finished: done again"
            for host, step, _ in past.begun
        ]
        found = differences(_kept_plan(record), plan.to_dict(), past)
        if found and not accept_changes:
            raise InvalidInput(
                "what is left to do is planned differently now:\n  " + "\n  ".join(found),
                where=record.run_id,
                hint="--accept-changes goes on with the new plan",
            )
        options = Options(
            connections.settings,
            listen=listen,
            ask=ask,
            origin=Origin(record.inventory, record.limit, place.name, place.freeze_override),
        )
        _take(record, entries)
        record.freeze_override = place.freeze_override or record.freeze_override
        record.plan_hash = plan.hash
        record.hosts = [host.facts.name for host in plan.hosts]
        folder = partial(_reopened, record, plan, keep_plan=True)
        return conduct(plan, connections, options, Part(record, folder, past, notes))


def planned_undo(run_id: str) -> list[Reversal]:
    """What ``undo_run`` would do, in that order. Raises as ``undo_run``."""
    from orchestrator.engine.resume import past_of

    _, entries = _undoable(run_id)
    return past_of(entries).changes[::-1]


def undo_run(run_id: str, listen: Callable[[RunEvent], None] | None = None) -> RunResult:
    """Take back what a run has changed and nothing has undone yet, newest first.

    What cannot be undone is told, and the others are undone all the same.

    Args:
        run_id: the run, the beginning of its name, or ``latest``.
        listen: told of everything while it happens.

    Returns:
        The run, ``rolled_back`` when everything is as it was before it.

    Raises:
        NotFound: no such run, or its runbook, inventory or hosts are gone.
        Busy: it is alive, or somebody else holds its lock.
        InvalidInput: it only checked.
    """
    from orchestrator.engine.resume import past_of
    from orchestrator.engine.run import Execution
    from orchestrator.engine.start import Options, Part, conduct

    record, entries = _undoable(run_id)
    plan, connections = _hosts_of(record)
    with closing(connections):
        past = past_of(entries, plan.loaded)
        options = Options(connections.settings, listen=listen)
        _take(record, entries)
        folder = partial(_reopened, record, plan)
        part = Part(record, folder, past, body=Execution.take_back)
        return conduct(plan, connections, options, part)


def _undoable(run_id: str) -> tuple[RunRecord, list[JournalEntry]]:
    record, entries = _idle(run_id)
    if record.mode == "check":
        raise InvalidInput(f"the run {record.run_id} only checked: it changed nothing")
    return record, entries


def _idle(run_id: str) -> tuple[RunRecord, list[JournalEntry]]:
    """A run that no process works on.

    Raises:
        Busy: one does.
    """
    from orchestrator.engine.history import read_run

    record, entries = read_run(_runs(), run_id)
    if record.state in ALIVE:
        away = f" on {record.host}" if record.host != socket.gethostname() else ""
        raise Busy(
            f"the run {record.run_id} is {record.state} (process {record.pid}{away})",
            hint="wait for it to end, or stop it: invoke runbook.cancel " + record.run_id,
        )
    return record, entries


def _runs() -> Path:
    return Places.of_this_user().runs


def _kept_plan(record: RunRecord) -> Mapping[str, Any]:
    import json

    from orchestrator.engine.journal import PLAN

    path = _runs() / record.run_id / PLAN
    try:
        plan: Mapping[str, Any] = json.loads(path.read_bytes())
        return {"hosts": list(plan["hosts"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"the run's plan cannot be read: {error}",
            where=str(path),
            hint=f"run it again: invoke runbook.run {record.runbook}",
        ) from None


def _take(record: RunRecord, entries: list[JournalEntry]) -> None:
    """The run is this process's from now on."""
    from orchestrator.engine.liveness import process_started

    record.pid = os.getpid()
    record.process_started = process_started(record.pid) or 0.0
    record.host = socket.gethostname()
    record.changed = sum(one.state == "changed" and one.phase == "step" for one in entries)
    record.error = record.failed_step = record.finished_at = None
    record.waiting_for = {}


def _reopened(record: RunRecord, plan: Plan, *, keep_plan: bool = False) -> Any:
    """The run's folder, if it is still as it was read; two may have had the same thought."""
    from orchestrator.engine.history import read_run
    from orchestrator.engine.journal import RunFolder

    folder = RunFolder.reopen(_runs() / record.run_id, plan.secrets)
    try:
        now, _ = read_run(_runs(), record.run_id)
        if now.resumed != record.resumed or now.state in ALIVE:
            raise Busy(f"the run {record.run_id} was taken up by another process", hint="try again")
    except SessionopsError:
        folder.close()
        raise
    record.resumed += 1
    if keep_plan:
        folder.keep_plan(plan.to_dict())
    return folder


def _hosts_of(record: RunRecord) -> tuple[Plan, Connections]:
    """A plan that names the run's hosts and nothing to do: what a journal holds is rendered."""
    from orchestrator.engine.checked import Checker
    from orchestrator.engine.connect import Connections
    from orchestrator.engine.inventory import Hosts
    from orchestrator.engine.listing import Plan
    from orchestrator.engine.load import load_runbook
    from orchestrator.engine.planned import HostPlan
    from orchestrator.operations import inventory_file
    from orchestrator.redact import SecretRegistry
    from orchestrator.tasks.scope import base_variables
    from schemas.places import ops_folder
    from schemas.settings import BY_NAME, Settings

    places = Places.of_this_user()
    checker = Checker(places.state / "cache", remember=True)
    loaded = load_runbook(source_of(record), ops_folder(), checker)
    hosts = Hosts.load(inventory_file(record.inventory, loaded.ops), checker)
    connections = Connections(hosts, places, Settings.load(places))
    try:
        targets = connections.targets(hosts.select(",".join(record.hosts), None, ""))
        secrets = SecretRegistry(
            target.settings[name]
            for target in targets
            for name in target.settings
            if BY_NAME[name].kind == "secret"
        )
        plans = tuple(
            HostPlan(
                target,
                base_variables(target.facts, target.settings, record.params, loaded.ops),
                *[()] * 5,
            )
            for target in targets
        )
        return Plan(loaded, {}, plans, (tuple(record.hosts),), secrets), connections
    except BaseException:
        connections.close()
        raise
