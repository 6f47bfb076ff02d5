"""Steps of ``health.feature``."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from pytest_bdd import parsers, scenarios, then, when

from features.conftest import Scene
from features.deployment import Deployment
from tracker.client.tls import Trust

scenarios("health.feature")


@then("the output says how semantic search is")
def semantic_search(scene: Scene) -> None:
    """Enabled, or off with the reason and the way to get it."""
    lines = [line for line in scene.last.stdout.splitlines() if "Semantic search: " in line]
    assert len(lines) == 1, scene.last
    enabled = lines[0] == "✓ Semantic search: enabled"
    assert enabled or "session-buddy models fetch" in scene.last.stdout, scene.last


@when(parsers.parse('I ask the tracker for "{path}"'))
def ask(deployment: Deployment, scene: Scene, path: str) -> None:
    try:
        url = deployment.settings.tracker_url + path
        tls = (
            Trust.of(deployment.settings, "session_buddy").context()
            if url[:6] == "https:"
            else None
        )
        with urllib.request.urlopen(url, timeout=10, context=tls) as answer:  # noqa: S310 -- never a file
            scene.notes |= {"status": answer.status, "body": answer.read().decode()}
    except urllib.error.HTTPError as error:
        scene.notes |= {"status": error.code, "body": error.read().decode()}


@then(parsers.re(r"the answer is (?P<status>\d+)$"), converters={"status": int})
def answered(scene: Scene, status: int) -> None:
    assert scene.notes["status"] == status, scene.notes


@then(parsers.parse('the answer is {status:d} and says "{key}" is "{value}"'))
def answered_with(scene: Scene, status: int, key: str, value: str) -> None:
    answered(scene, status)
    assert json.loads(str(scene.notes["body"]))[key] == value, scene.notes


@then(parsers.parse('the answer says "{key}" is the version of "{command}"'))
def same_version(deployment: Deployment, scene: Scene, key: str, command: str) -> None:
    printed = deployment.run(command).stdout.split()
    assert json.loads(str(scene.notes["body"]))[key] == printed[-1]


@then("the metrics have these types")
def metric_types(scene: Scene, datatable: list[list[str]]) -> None:
    lines = str(scene.notes["body"]).splitlines()
    for name, kind in datatable[1:]:
        # The text format names a counter's family without its suffix only in OpenMetrics.
        assert f"# TYPE {name} {kind}" in lines, f"{name} is no {kind}"
