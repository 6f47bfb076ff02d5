"""What every face calls: run, plan and list runbooks; look at runs.

Errors are exceptions of ``schemas.errors``; nothing here prints.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import NotFound, SessionopsError
from schemas.places import Places, ops_folder
from schemas.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.engine.ask import Ask
    from orchestrator.engine.checked import Checker
    from orchestrator.engine.connect import Connections
    from orchestrator.engine.environment import Consent
    from orchestrator.engine.history import Filter
    from orchestrator.engine.listing import Plan
    from orchestrator.engine.report import RunEvent
    from orchestrator.engine.run import RunResult
    from orchestrator.engine.shown_hosts import HostShown
    from orchestrator.lint.finding import Finding
    from schemas.run import JournalEntry, RunRecord


@dataclass(frozen=True)
class RunbookSummary:
    """One runbook, as a list shows it.

    Args:
        name: as ``run_runbook`` takes it.
        title: what it does.
        path: its file.
        group: the folder below ``runbooks/``: ``incidents``, ``troubleshooting`` or empty.
        guide: sections of the guide that it carries out.
        alerts: alerts that it answers.
        severity: of the incident that it is for; empty: none.
        description: what it is for, and when.
        params: help text by parameter.
        fault: what is wrong with the file; empty: nothing.
    """

    name: str
    title: str
    path: Path
    group: str
    guide: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    severity: str = ""
    description: str = ""
    params: Mapping[str, str] | None = None
    fault: str = ""


def plan_runbook(
    name: str,
    params: Mapping[str, Any],
    *,
    inventory: str | Path | None = None,
    limit: str | None = None,
    keep: bool = False,
    ops: Path | None = None,
    forks: int = 0,
    environment: str = "",
) -> Plan:
    """What a runbook would do. Runs nothing.

    Args:
        name: a runbook's name, or the path of its file.
        params: parameters as texts or as values.
        inventory: the inventory file; None: the one beside the runbooks.
        limit: a pattern of hosts to keep to.
        keep: remember the plan, so that what differs can be told when it is applied.
        ops: the folder with ``runbooks/``; None: this project's.
        forks: how many hosts to ask at a time; 0: the default.
        environment: takes ``environments/NAME.yaml`` as the inventory, and NAME.env's variables.

    Raises:
        NotFound: no such runbook, inventory or host.
        InvalidInput: something is wrong in them; with ``file:line``.
        Unreachable: more hosts do not answer than the runbook lets fail.
    """
    from orchestrator.engine.kept_plans import keep as keep_plan

    target = Target(inventory, limit, ops, forks, environment)
    plan, connections, _ = prepare(name, params, target, remember=False)
    connections.close()
    if keep:
        keep_plan(_plans(connections.settings.places), plan)
    return plan


def run_runbook(
    name: str,
    params: Mapping[str, Any],
    *,
    inventory: str | Path | None = None,
    limit: str | None = None,
    check: bool = False,
    apply: str | None = None,
    yes: bool = False,
    listen: Callable[[RunEvent], None] | None = None,
    ask: Ask | None = None,
    ops: Path | None = None,
    forks: int = 0,
    lock_wait: float = 0.0,
    environment: str = "",
    consent: Consent | None = None,
) -> RunResult:
    """Run a runbook to its end, in this process.

    Args:
        name: a runbook's name, or the path of its file.
        params: parameters as texts or as values.
        inventory: the inventory file; None: the one beside the runbooks.
        limit: a pattern of hosts to keep to.
        check: change nothing, find out what would change.
        apply: the hash of the plan that was shown; another plan is refused. None: any.
        yes: agree beforehand to what the runbook lets be agreed to so.
        listen: told of everything while it happens.
        ask: puts questions to a person; None: the terminal, and ``answer_run``.
        ops: the folder with ``runbooks/``; None: this project's.
        forks: how many hosts at a time; 0: the default.
        lock_wait: seconds to wait, in all, for locks that others hold.
        environment: as ``plan_runbook``.
        consent: how the environment is asked for its leave; None: ``yes``, and the terminal.

    Returns:
        How it ended. A run that failed is a result too, not an exception.

    Raises:
        NotFound, InvalidInput, Unreachable: as ``plan_runbook``; nothing was run.
        Busy: somebody else holds the runbook's lock; nothing was run.
        Frozen: nothing may be changed in this environment now; nothing was run.
        NotAuthorised: the automation's token does not allow it; nothing was run.
        StepFailed: the lock or the run's record could not be written; nothing was run.
    """
    from orchestrator.engine.environment import Consent
    from orchestrator.engine.fanout import FORKS
    from orchestrator.engine.kept_plans import must_be
    from orchestrator.engine.start import Options, Origin, carry_out

    target = Target(inventory, limit, ops, forks, environment)
    leave = None if check else consent or Consent(yes)
    plan, connections, place = prepare(name, params, target, remember=not check, consent=leave)
    with closing(connections):
        if apply is not None:
            must_be(_plans(connections.settings.places), plan, apply)
        origin = Origin(place.inventory, limit or "", place.name, place.freeze_override)
        options = Options(
            connections.settings,
            check,
            listen,
            ask,
            origin,
            yes,
            forks=forks or FORKS,
            lock_wait=lock_wait,
        )
        return carry_out(plan, connections, options)


def list_runs(
    limit: int = 20, state: str | None = None, wanted: Filter | None = None
) -> list[RunRecord]:
    """The newest runs of this user, newest first.

    Args:
        limit: how many at the most.
        state: only those in this state.
        wanted: more about those that are wanted; ``state`` is in it then.
    """
    from orchestrator.engine.history import list_records

    return list_records(Places.of_this_user().runs, limit, state, wanted)


def get_run(run_id: str) -> tuple[RunRecord, list[JournalEntry]]:
    """A run and its journal.

    Args:
        run_id: the run, the beginning of its name, or ``latest``.

    Raises:
        NotFound: there is no such run.
    """
    from orchestrator.engine.history import read_run

    return read_run(Places.of_this_user().runs, run_id)


def list_runbooks(ops: Path | None = None) -> list[RunbookSummary]:
    """Every runbook by name; a broken one is listed with what is wrong.

    Args:
        ops: the folder with ``runbooks/``; None: this project's.
    """
    from orchestrator.engine.checked import Checker
    from orchestrator.engine.load import runbook_files

    folder = ops or ops_folder()
    checker = Checker(Places.of_this_user().state / "cache")
    return [_summary(file, folder / "runbooks", checker) for file in runbook_files(folder)]


def lint(ops: str | Path | None = None, inventory: str | Path | None = None) -> list[Finding]:
    """Everything that is wrong in a folder that people operate from. Connects to nothing.

    Args:
        ops: the folder; None: this project's.
        inventory: the inventory file; None: the one in the folder.

    Raises:
        NotFound: there is no such folder.
    """
    from orchestrator.engine.checked import Checker
    from orchestrator.lint.everything import findings

    folder = Path(ops).expanduser() if ops else ops_folder()
    if not folder.is_dir():
        raise NotFound("there is no such folder", where=str(folder))
    folder = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    checker = Checker(Places.of_this_user().state / "cache")
    return findings(folder, inventory_file(inventory, folder), checker)


def runbook_pages(ops: Path | None = None) -> dict[str, str]:
    """Every runbook as a Markdown page, by its path below the folder.

    Args:
        ops: the folder with ``runbooks/``; None: this project's.

    Raises:
        InvalidInput: a runbook is broken.
    """
    from orchestrator.engine.checked import Checker
    from orchestrator.pages.folder import runbook_pages as made

    return made(ops or ops_folder(), Checker(Places.of_this_user().state / "cache"))


def task_pages(ops: Path | None = None) -> dict[str, str]:
    """The catalogue of tasks as a Markdown page, by its path below the folder.

    Args:
        ops: the folder with ``tasks/``; None: this project's.
    """
    from orchestrator.pages.folder import task_pages as made

    return made(ops or ops_folder())


def new_runbook(name: str, ops: Path | None = None) -> list[Path]:
    """Write a commented start of a runbook, and an inventory when the folder has none.

    Args:
        name: the runbook's name.
        ops: the folder to write it below; made when it is not there. None: this project's.

    Returns:
        The files that were written.

    Raises:
        InvalidInput: it cannot be a runbook's name, or there is one already.
    """
    from orchestrator.starter import write_start

    return write_start(name, ops or ops_folder())


def _summary(file: Path, root: Path, checker: Checker) -> RunbookSummary:
    group = "/".join(file.relative_to(root).parts[:-1])
    try:
        runbook, _ = checker.read(file, "Runbook")
    except SessionopsError as error:
        return RunbookSummary(file.stem, "", file, group, fault=str(error))
    return RunbookSummary(
        name=runbook.name,
        title=runbook.title,
        path=file,
        group=group,
        guide=tuple(runbook.guide),
        alerts=tuple(runbook.alerts),
        severity=runbook.severity or "",
        description=" ".join(runbook.description.split()),
        params={name: parameter.help for name, parameter in runbook.params.items()},
    )


def show_inventory(
    pattern: str = "all",
    *,
    inventory: str | Path | None = None,
    limit: str | None = None,
    ops: Path | None = None,
    environment: str = "",
) -> list[HostShown]:
    """Hosts of an inventory as a run sees them, without reaching out to any.

    Args:
        pattern: hosts, groups, ``web-*``, ``!name``; separated by commas.
        inventory: the file; None: the one in ``ops``, else this project's.
        limit: a second pattern that they must match too.
        ops: the folder with ``runbooks/``; None: this project's.
        environment: as ``plan_runbook``.

    Raises:
        NotFound: there is no such environment.
        InvalidInput: a fault in the file, or no host matches.
    """
    from orchestrator.engine.checked import Checker
    from orchestrator.engine.environment import chosen_inventory
    from orchestrator.engine.inventory import Hosts
    from orchestrator.engine.shown_hosts import shown

    folder = ops or ops_folder()
    file = inventory_file(chosen_inventory(inventory, environment, folder), folder)
    hosts = Hosts.load(file, Checker(Places.of_this_user().state / "cache"))
    return [shown(hosts, name) for name in hosts.select(pattern, limit)]


@dataclass(frozen=True)
class Target:
    """Where a runbook is to be run. What is left out is as ``plan_runbook`` has it."""

    inventory: str | Path | None = None
    limit: str | None = None
    ops: Path | None = None
    forks: int = 0
    environment: str = ""


@dataclass(frozen=True)
class Place:
    """What a run's record keeps of where it ran.

    Args:
        inventory: the file, if it was chosen or is of an environment; empty: the nearest one.
        name: of the environment.
        freeze_override: why the run goes on although nothing is to be changed there now.
    """

    inventory: str
    name: str
    freeze_override: str


def prepare(
    name: str,
    params: Mapping[str, Any],
    target: Target,
    *,
    remember: bool,
    consent: Consent | None = None,
) -> tuple[Plan, Connections, Place]:
    """The plan, the connections that its facts came over, and where that is.

    Args:
        name: as ``run_runbook``.
        params: as ``run_runbook``.
        target: where it is to be run.
        remember: whether files that were found valid are remembered.
        consent: asked before any host is; None: nothing will be changed.
    """
    from orchestrator.engine import environment
    from orchestrator.engine.checked import Checker
    from orchestrator.engine.connect import Connections
    from orchestrator.engine.fanout import FORKS
    from orchestrator.engine.inventory import Hosts
    from orchestrator.engine.kept_plans import sources
    from orchestrator.engine.load import load_runbook
    from orchestrator.engine.params import read_params
    from orchestrator.engine.plan import make_plan

    places = Places.of_this_user()
    checker = Checker(places.state / "cache", remember)
    loaded = load_runbook(name, target.ops or ops_folder(), checker)
    chosen = environment.chosen_inventory(target.inventory, target.environment, loaded.ops)
    hosts = Hosts.load(inventory_file(chosen, loaded.ops), checker)
    of = environment.name_of(hosts, target.environment)
    environ = environment.variables(hosts.document.path, of)
    values = read_params(loaded.runbook.params, params, environ)
    settings = Settings.load(places)
    override = consent.obtain(hosts.inventory.environment, settings) if consent else ""
    kept = str(hosts.document.path.resolve()) if chosen or of else ""
    place = Place(kept, of, override)
    connections = Connections(hosts, places, settings)
    try:
        where = loaded.document.where("hosts")
        names = hosts.select(loaded.runbook.hosts, target.limit, where)
        tolerated = len(names) * loaded.runbook.max_fail_percentage / 100
        found = connections.targets(names, tolerated=tolerated, forks=target.forks or FORKS)
        missing = {host: error.message for host, error in connections.missing.items()}
        plan = make_plan(loaded, found, values, missing)
        return replace(plan, sources=sources(plan)), connections, place
    except BaseException:
        connections.close()
        raise


def _plans(places: Places) -> Path:
    return places.state / "plans"


def inventory_file(given: str | Path | None, ops: Path) -> Path:
    """The inventory that a runbook from ``ops`` is run with: the one given, or the nearest."""
    if given:
        return Path(given)
    own = ops / "inventory.yaml"
    return own if own.is_file() else ops_folder() / "inventory.yaml"
