"""Runs the Gherkin scenarios of a release against the live deployment on the host."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command, programs
from orchestrator.tasks.outcome import Outcome, changes_nothing
from orchestrator.tasks.release_record import current_release
from orchestrator.tasks.scope import scope
from schemas.errors import NotFound, StepFailed

if TYPE_CHECKING:
    from pathlib import PurePath

    from invoke.context import Context

_FAILED, _NONE_CHOSEN = 1, 5
"""Exit codes of pytest."""
_NANOSECONDS = 1e9
_LONGEST = 200
"""Characters of a fault that are shown; the whole of it is in the session."""
_CLASS = re.compile(r"^(?:[a-z_]\w*\.)*[A-Z]\w*: ")
"""The class of an exception before what it says, which means nothing to an operator."""
_NO_OPTIONS = {"PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Scenario:
    """How one scenario ended.

    Args:
        feature, name: its titles.
        passed: whether every step did what it says.
        seconds: how long it took.
        fault: the step that failed, and why.
    """

    feature: str
    name: str
    passed: bool
    seconds: float
    fault: str = ""


@task
@changes_nothing
def run(c: Context, tags: str = "", wait: float = 300.0) -> Outcome:
    """Run scenarios against what is live (guide 4).

    Args:
        c: the task's Context or Connection.
        tags: which ones, as pytest's ``-m`` has it: ``smoke``, ``smoke or security``; empty: all.
        wait: seconds for all of them.

    Outputs:
        release, passed, failed, scenarios.

    Raises:
        NotFound: no release is in use, or no scenario has these tags.
        StepFailed: names the scenarios that failed.
    """
    here = scope(c)
    release = current_release(c)
    if here.check:
        return Outcome(message=f"would run the scenarios{f' tagged {tags}' if tags else ''}")
    if release is None:
        raise NotFound(
            "no release is in use, so nothing can be verified",
            where=here.host.name,
            hint="invoke deploy first",
        )
    report = command.run(c, ["mktemp"]).stdout.strip()
    try:
        result = _pytest(c, tags, report, wait)
        content = command.read_file(c, report) or b""
    finally:
        command.run(c, ["rm", "-f", "--", report])
    if result.exit_code == _NONE_CHOSEN:
        raise NotFound(f"no scenario is tagged {tags!r}" if tags else "there are no scenarios")
    scenarios = read_report(content) if result.exit_code in {0, _FAILED} else []
    failed = [scenario for scenario in scenarios if not scenario.passed]
    if failed or not result:
        raise StepFailed(
            _told(scenarios, failed) if failed else _last_line(result),
            where=here.host.name,
            hint="see it whole: invoke verify" if tags else "session-buddy health says more",
        )
    outputs = {
        "release": release,
        "passed": len(scenarios),
        "failed": 0,
        "scenarios": [asdict(scenario) for scenario in scenarios],
    }
    return Outcome(message=_told(scenarios, failed), outputs=outputs)


def _pytest(c: Context, tags: str, report: str, wait: float) -> command.Result:
    ops = scope(c).places.current / "ops"
    argv = pytest_argv(scope(c).places.current / "bin" / "python", ops, report, tags)
    env = {**programs.environment(c), **_NO_OPTIONS}
    return command.run(c, argv, cwd=ops, env=env, timeout=wait, check=False)


def pytest_argv(python: PurePath, ops: PurePath, report: str, tags: str) -> list[str]:
    """The command that runs the scenarios.

    Args:
        python: the release's interpreter.
        ops: the release's ``ops`` folder; the command is run in it, so that ``features`` is found.
        report: where the results go, as Cucumber's JSON.
        tags: for ``-m``.
    """
    # No configuration file: pytest would look for one in every folder above. It must not read those
    # either: a home may stand in a folder that its user cannot list.
    options = ["-q", "-c", "/dev/null", "--rootdir", str(ops), "--confcutdir", str(ops)]
    options += ["-p", "no:cacheprovider"]
    plugin = ["-p", "features.plugin", "--deployment", "live", f"--cucumberjson={report}"]
    chosen = ["-m", tags] if tags else []
    return [str(python), "-m", "pytest", *options, *plugin, *chosen, str(ops / "features")]


def read_report(content: bytes) -> list[Scenario]:
    """The scenarios of a Cucumber JSON report.

    Raises:
        StepFailed: it is not such a report.
    """
    try:
        features = json.loads(content)
        return [
            _scenario(feature["name"], element)
            for feature in features
            for element in feature["elements"]
        ]
    except (ValueError, KeyError, TypeError):
        raise StepFailed("pytest wrote no report that can be read") from None


def _scenario(feature: str, element: dict[str, object]) -> Scenario:
    seconds, fault = 0.0, ""
    steps = element["steps"]
    for step in steps if isinstance(steps, list) else []:
        result = step["result"]
        seconds += result.get("duration", 0) / _NANOSECONDS
        if result["status"] != "passed" and not fault:
            why = _why(str(result.get("error_message", "")))
            fault = f"{step['keyword'].strip()} {step['name']}{why}"
    return Scenario(feature, str(element["name"]), not fault, round(seconds, 3), fault)


def _why(error: str) -> str:
    """Of pytest's report of a failure, the first line of the error itself."""
    lines = [line for line in error.splitlines() if line.strip()]
    marked = [line[1:] for line in lines if line.startswith("E ")]
    return f": {_CLASS.sub('', (marked or lines)[0].strip())}" if lines else ""


def _told(scenarios: list[Scenario], failed: list[Scenario]) -> str:
    if not failed:
        count = len(scenarios)
        return f"{count} scenario{'' if count == 1 else 's'} passed"
    lines = [f"{scenario.name}: {_bounded(scenario.fault)}" for scenario in failed]
    return "\n  ".join([f"{len(failed)} of {len(scenarios)} scenarios failed", *lines])


def _bounded(text: str) -> str:
    """The first line of a text, cut where a terminal's reader stops reading."""
    # An exception that is quoted in another one has its line ends written out.
    line = text.replace("\\n", "\n").split("\n", 1)[0]
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _last_line(result: command.Result) -> str:
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    return f"the scenarios could not be run: {lines[-1] if lines else 'no output'}"
