"""Steps of ``deploy.feature``."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

from pytest_bdd import given, scenarios, then

from features.conftest import Scene
from features.deployment import Deployment
from tracker.client.servers import mahavishnu, session_buddy

scenarios("deploy.feature")


@then('the tracker and mahavishnu run the release that "current" names')
def run_current(deployment: Deployment) -> None:
    release = deployment.places.current.resolve().name
    for client in (session_buddy(deployment.settings), mahavishnu(deployment.settings)):
        assert client.health().release == release


@then("the key ring can be read by its owner only")
def owner_only(deployment: Deployment) -> None:
    mode = stat.S_IMODE(deployment.places.keyring.stat().st_mode)
    assert mode == stat.S_IRUSR | stat.S_IWUSR, f"the key ring has mode {mode:o}"


@then("no key of the ring is in any log, journal, database or configuration file of the deployment")
def no_key_elsewhere(deployment: Deployment) -> None:
    places = deployment.places
    ring = json.loads(places.keyring.read_text(encoding="utf-8"))
    secrets = [key["secret"].encode() for keys in ring["keys"].values() for key in keys]
    assert secrets, "the key ring is empty"
    for path in _files(places.etc, places.state, places.runs, places.log, places.tracker_home):
        if path != places.keyring:
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), f"{path} holds a signing key"


def _files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


@given("I noted the processes of both servers")
def note_processes(deployment: Deployment, scene: Scene) -> None:
    scene.notes["processes"] = _processes(deployment)


def _processes(deployment: Deployment) -> list[tuple[int, str]]:
    answers = [
        client.health()
        for client in (session_buddy(deployment.settings), mahavishnu(deployment.settings))
    ]
    return [(answer.pid, answer.started_at) for answer in answers]


@then("the output says that nothing changed")
def nothing_changed(scene: Scene) -> None:
    assert "nothing changed" in scene.last.stdout, scene.last


@then("both servers are the same processes as before")
def same_processes(deployment: Deployment, scene: Scene) -> None:
    assert _processes(deployment) == scene.notes["processes"]


@given("I noted every file of the deployment")
def note_files(deployment: Deployment, scene: Scene) -> None:
    scene.notes["files"] = _fingerprints(deployment)


@then("every file of the deployment is as it was")
def same_files(deployment: Deployment, scene: Scene) -> None:
    assert _fingerprints(deployment) == scene.notes["files"]


def _fingerprints(deployment: Deployment) -> dict[str, str]:
    """Content, mode and target of all that a deploy makes; runs and logs go on by themselves."""
    places = deployment.places
    entries = {str(places.current): str(places.current.readlink())}
    for path in [*_files(places.etc), *places.releases.iterdir(), places.tracker_config]:
        content = path.read_bytes() if path.is_file() else b""
        entries[str(path)] = f"{path.stat().st_mode:o} {hashlib.sha256(content).hexdigest()}"
    return entries


@then("one of those sessions is a deploy that ended well")
def deploy_is_recorded(scene: Scene) -> None:
    sessions = json.loads(scene.last.stdout)
    deploys = [each for each in sessions if (each["run_id"] or "").find("-deploy-") > 0]
    assert any(each["status"] == "ended" and each["exit_code"] == 0 for each in deploys), sessions
