"""The pytest plugin behind ``invoke verify``: which deployment is tested, and the record of it.

With ``--deployment live`` the scenarios use the deployment that the environment names, those that
would change it are left out, and the results become an ``acceptance`` session in the tracker.
Otherwise a deployment of its own is made from the checkout for the whole test run.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from features.deployment import Deployment, live, take_down, temporary

if TYPE_CHECKING:
    from tracker.client.emitter import Emitter

DEPLOY_TIMEOUT = 600.0
"""Seconds for the first deploy, which downloads what the package cache does not hold yet."""

_RECORDER = pytest.StashKey["Emitter"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer ``--deployment``."""
    parser.addoption(
        "--deployment",
        choices=["live", "temporary"],
        default="temporary",
        help="what the scenarios use: the deployment of the environment, or one made for this run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the tags of the scenarios; begin the record of a live run."""
    config.addinivalue_line("markers", "smoke: a deploy runs it before it calls a release good")
    config.addinivalue_line("markers", "temporary: it changes the deployment, so never a live one")
    if config.getoption("--deployment") == "live" and not config.getoption("collectonly"):
        config.stash[_RECORDER] = _recorder()


def _recorder() -> Emitter:
    from tracker.client.emitter import Emitter
    from tracker.client.facts import session_facts

    emitter = Emitter(session_facts("mahavishnu", "acceptance"), live().settings)
    emitter.start()
    return emitter


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of a live run what would change the deployment."""
    if config.getoption("--deployment") != "live":
        return
    changing = [item for item in items if item.get_closest_marker("temporary")]
    items[:] = [item for item in items if item not in changing]
    config.hook.pytest_deselected(items=changing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record the outcome of a scenario."""
    report = yield
    recorder = item.config.stash.get(_RECORDER, None)
    if recorder is not None and (call.when == "call" or report.failed):
        recorder.emit(
            "step",
            {"scenario": item.name, "file": item.path.name, "outcome": report.outcome},
            duration_seconds=call.duration,
            exit_code=0 if report.passed else 1,
        )
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the record."""
    recorder = session.config.stash.get(_RECORDER, None)
    if recorder is not None:
        recorder.end(int(exitstatus))


@pytest.fixture(scope="session")
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """The deployment under test."""
    if request.config.getoption("--deployment") == "live":
        yield live()
        return
    made = temporary(tmp_path_factory.mktemp("deployment"), Path(__file__).resolve().parent.parent)
    try:
        done = made.run("invoke deploy", timeout=DEPLOY_TIMEOUT)
        assert done.exit_code == 0, f"the deployment to test could not be made:\n{done}"
        yield made
    finally:
        take_down(made)
