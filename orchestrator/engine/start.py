"""Starting a run and bringing it to its end: lock, folder, record, tracked session, signals.

Knows what surrounds a run, not what happens in it.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.engine.asking import Asker
from orchestrator.engine.attempt import Shared
from orchestrator.engine.calls import scope_of
from orchestrator.engine.control import Inbox
from orchestrator.engine.fanout import FORKS
from orchestrator.engine.heartbeat import EVERY, Heartbeat
from orchestrator.engine.journal import RunFolder, new_run_id, timestamp
from orchestrator.engine.liveness import process_started
from orchestrator.engine.lock import SILENCE, Lock, Owner
from orchestrator.engine.recording import Recorder, start_recording
from orchestrator.engine.report import Reporter
from orchestrator.engine.resume import Past
from orchestrator.engine.run import Execution, Failure, RunResult
from orchestrator.engine.stop import StopRequest
from orchestrator.engine.stop_notice import StopNotice
from orchestrator.tasks.scope import attach
from schemas.errors import Busy, SessionopsError, StepFailed
from schemas.run import RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from invoke.context import Context

    from orchestrator.engine.ask import Ask
    from orchestrator.engine.connect import Connections
    from orchestrator.engine.listing import Plan
    from orchestrator.engine.planned import HostPlan
    from orchestrator.engine.report import RunEvent
    from schemas.run import RunState
    from schemas.settings import Settings

_LOCK_INTERVAL = 0.5  # seconds between two looks at a lock that somebody holds


@dataclass(frozen=True)
class Origin:
    """Where a plan came from; with it, a run that broke off can be planned again.

    Args:
        inventory: the inventory's file.
        limit: the pattern of hosts that it was kept to.
        environment: what the hosts are for.
        freeze_override: why it runs although nothing is to be changed there now.
    """

    inventory: str = ""
    limit: str = ""
    environment: str = ""
    freeze_override: str = ""


@dataclass(frozen=True)
class Options:
    """How a plan is carried out.

    Args:
        settings: of this machine; its places hold the run's folder.
        check: change nothing.
        listen: told of everything while it happens.
        ask: puts questions to a person; None: the terminal and the control file.
        origin: where the plan came from.
        yes: whoever started it agrees to what a runbook lets be agreed to beforehand.
        forks: how many hosts at a time.
        lock_wait: seconds to wait, in all, for locks that others hold.
    """

    settings: Settings
    check: bool = False
    listen: Callable[[RunEvent], None] | None = None
    ask: Ask | None = None
    origin: Origin = field(default_factory=Origin)
    yes: bool = False
    forks: int = FORKS
    lock_wait: float = 0.0


def carry_out(plan: Plan, connections: Connections, options: Options) -> RunResult:
    """Run a plan from its beginning.

    Raises:
        Busy: somebody else holds the runbook's lock; nothing was run.
        StepFailed: the lock or the run's record could not be written; nothing was run.
    """
    record = _new_record(plan, options)

    def folder() -> RunFolder:
        made = RunFolder.create(options.settings.places.runs, record, plan.secrets)
        made.keep_plan(plan.to_dict())
        return made

    return conduct(plan, connections, options, Part(record, folder))


@dataclass
class Part:
    """What one process does of a run: all of it, the rest of it, or taking it back.

    Args:
        record: the run.
        folder: makes or opens its folder, once the lock is held.
        past: what earlier processes have finished.
        notes: lines to tell at the beginning.
        body: does the part.
    """

    record: RunRecord
    folder: Callable[[], RunFolder]
    past: Past = field(default_factory=Past)
    notes: list[str] = field(default_factory=list)
    body: Callable[[Execution], RunState] = Execution.execute


def conduct(plan: Plan, connections: Connections, options: Options, part: Part) -> RunResult:
    """Do a part of a run, with all that surrounds it. Raises as ``carry_out``."""
    record = part.record
    notice = StopNotice(plan.loaded.runbook.on_failure.rollback == "auto")
    stop = StopRequest(notice)
    patience = Patience(time.monotonic() + options.lock_wait, stop)
    with stop.listening(), _locked(plan, connections, record, patience) as notes:
        notes.extend(part.notes)
        folder = part.folder()
        recorder = _recorder(plan, record, folder, options)
        report = Reporter(folder, record, recorder, options.listen)
        report.started()
        for note in notes:
            report.note(note)
        for name, why in plan.missing.items():
            report.note(f"{name} is unreachable, the run goes without it: {why}")
        inbox = Inbox(folder.path)
        ask = options.ask or Asker(inbox, stop, options.yes)
        shared = Shared(report, stop, ask, options.check, options.forks)
        shared.past, shared.changes = part.past, list(part.past.changes)
        notice.shared = shared
        execution = Execution(plan, connections, shared, record.run_id)
        began, before = time.monotonic(), record.duration_seconds or 0.0
        with inbox.listening(stop):
            state = part.body(execution)
        record.outcomes = execution.outcomes()
        _conclude(record, state, execution.failure, before + time.monotonic() - began)
        report.finished()
    if report.unheard is not None:
        notes.append(f"not all of this was shown: {type(report.unheard).__name__}")
    hint = execution.failure.hint if execution.failure else ""
    return RunResult(record, report.entries, plan.secrets.mask(hint), notes)


def _new_record(plan: Plan, options: Options) -> RunRecord:
    now = datetime.now(UTC)
    runbook = plan.loaded.runbook
    return RunRecord(
        run_id=new_run_id(runbook.name, now),
        runbook=runbook.name,
        title=runbook.title,
        state="planned",
        mode="check" if options.check else "run",
        started_at=timestamp(now),
        pid=os.getpid(),
        process_started=process_started(os.getpid()) or 0.0,
        host=socket.gethostname(),
        user=getpass.getuser(),
        plan_hash=plan.hash,
        hosts=[*(host.facts.name for host in plan.hosts), *plan.missing],
        params=plan.shown_params(),
        source=str(plan.loaded.document.path.resolve()),
        inventory=options.origin.inventory,
        limit=options.origin.limit,
        environment=options.origin.environment,
        freeze_override=options.origin.freeze_override,
    )


def _recorder(plan: Plan, record: RunRecord, folder: RunFolder, options: Options) -> Recorder:
    if options.check:
        return Recorder(None)
    try:
        strict = plan.loaded.runbook.recording == "strict"
        return start_recording(record, options.settings, strict=strict)
    except StepFailed as error:
        _conclude(record, "failed", Failure("", "", error.message), 0.0)
        folder.save(record)
        folder.close()
        raise


def _conclude(record: RunRecord, state: RunState, failure: Failure | None, seconds: float) -> None:
    record.state = state
    record.waiting_for = {}
    record.finished_at = timestamp()
    record.duration_seconds = round(seconds, 3)
    if failure is not None:
        record.failed_step = failure.step or None
        record.error = str(failure)


@dataclass
class Patience:
    """Waits for locks that others hold, until one moment for all of them.

    Args:
        until: the moment, by ``time.monotonic``.
        stop: ends the waiting early.
    """

    until: float
    stop: StopRequest
    _told: str = ""

    def acquire(self, lock: Lock) -> Owner | None:
        """Take a lock as ``Lock.acquire`` does, as soon as it is free.

        Raises:
            Busy: it was not free in time, or the run was asked to stop.
        """
        while True:
            try:
                return lock.acquire()
            except Busy as busy:
                left = self.until - time.monotonic()
                if left <= 0 or self.stop.asked:
                    raise
                self._say(busy.message)
                self.stop.wait(min(left, _LOCK_INTERVAL))

    def _say(self, holder: str) -> None:
        # Once for each holder. To stderr, since the run has no journal before it has its locks.
        if holder != self._told:
            self._told = holder
            with suppress(OSError):
                os.write(2, f"waiting: {holder}\n".encode())


@contextmanager
def _locked(
    plan: Plan, connections: Connections, record: RunRecord, patience: Patience
) -> Iterator[list[str]]:
    """Hold the runbook's lock on every host. Gives lines that a person should see."""
    name = plan.loaded.runbook.lock
    notes: list[str] = []
    held: list[Lock] = []
    beating: list[Heartbeat] = []
    try:
        for host in plan.hosts if name and record.mode == "run" else ():
            far = host.facts.name
            lock_over = partial(_lock, plan, host, record)
            lock = lock_over(connections.context(far))
            dead = patience.acquire(lock)
            held.append(lock)
            lost = partial(_stop_without, lock, patience.stop)
            beating.append(Heartbeat(partial(connections.another, far), lock_over, lost, EVERY))
            beating[-1].start()
            if dead is not None:
                silent = f": nothing was heard of it from {dead.host} for {SILENCE} minutes"
                notes.append(
                    f"took over the lock {name!r} on {far}: the run {dead.run_id} that"
                    f" held it since {dead.since} is dead{'' if dead.is_here else silent}"
                )
        yield notes
    finally:
        for each in beating:
            each.end()
        for each in beating:
            each.wait()
        for lock in reversed(held):
            try:
                lock.release()
            except SessionopsError as error:
                notes.append(f"the lock {lock.path} could not be freed: {error.message}")


def _lock(plan: Plan, host: HostPlan, record: RunRecord, context: Context) -> Lock:
    attach(context, scope_of(host, plan.secrets, record.run_id, check=False))
    return Lock(context, str(plan.loaded.runbook.lock), _owner(record))


def _stop_without(lock: Lock, stop: StopRequest) -> None:
    # Another run works there now: what goes on here comes to its end as soon as it can.
    if not stop.asked:
        stop.ask(f"the lock {lock.path} was taken over by another run")


def _owner(record: RunRecord) -> Owner:
    return Owner(
        run_id=record.run_id,
        host=record.host,
        user=record.user,
        pid=record.pid,
        process_started=record.process_started,
        since=record.started_at,
    )
