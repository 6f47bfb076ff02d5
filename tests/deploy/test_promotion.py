"""Production gets exactly the release that was verified in staging, or is told why it does not."""

from __future__ import annotations

import pytest
import yaml

from features.deployment import free_ports, take_down, temporary
from schemas.places import ops_folder


def write_environment(folder, name, root):
    tracker, mahavishnu, metrics = free_ports(3)
    host = {
        "connection": "local",
        "home": str(root / name / "mahavishnu"),
        "tracker_home": str(root / name / "session-buddy"),
        "settings": {
            "session_buddy.port": tracker,
            "mahavishnu.port": mahavishnu,
            "mahavishnu.observability.metrics_port": metrics,
        },
    }
    inventory = {
        "schema_version": 1,
        "hosts": {f"{name}-1": host},
        "groups": {"tracker": {"hosts": [f"{name}-1"]}},
        "environment": {"name": name},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(inventory))


class Estate:
    """Two environments on this machine, and whoever deploys to them."""

    def __init__(self, root):
        self.root, self.ops = root, root / "ops"
        (self.ops / "environments").mkdir(parents=True)
        for name in ("runbooks", "templates"):
            (self.ops / name).symlink_to(ops_folder() / name)
        for name in ("staging", "production"):
            write_environment(self.ops / "environments", name, root)
        self.control = temporary(root / "control", ops_folder())
        for name in ("SESSION_BUDDY_PORT", "MAHAVISHNU_PORT", "PROMETHEUS_METRICS_PORT"):
            del self.control.environ[name]

    def run(self, line):
        return self.control.run(f"{line} --ops {self.ops}", timeout=300)

    def releases(self, name):
        folder = self.root / name / "mahavishnu" / "releases"
        return {path.name: path for path in folder.iterdir() if (path / "release.json").exists()}

    def wheel(self, name):
        current = self.root / name / "mahavishnu" / "current"
        (found,) = (current / "wheel").glob("*.whl")
        return found.read_bytes()

    def close(self):
        for name in ("staging", "production"):
            one = temporary(self.root / name, ops_folder())
            take_down(one)


@pytest.fixture
def estate(tmp_path_factory):
    # A socket's path may have about a hundred characters.
    made = Estate(tmp_path_factory.mktemp("p"))
    try:
        yield made
    finally:
        made.close()


def test_what_was_verified_is_what_is_deployed(estate):
    nothing = estate.run("invoke promote")
    assert (nothing.exit_code, "nothing was verified in staging" in nothing.stderr) == (6, True)
    assert estate.run("invoke deploy -e staging").exit_code == 0
    partly = estate.run("invoke verify -e staging --tags smoke")
    assert partly.exit_code == 0, partly
    refused = estate.run("invoke promote")
    assert (refused.exit_code, "tagged smoke only" in refused.stderr) == (1, True), refused
    whole = estate.run("invoke verify -e staging")
    assert whole.exit_code == 0, whole
    done = estate.run("invoke promote")
    assert done.exit_code == 0, done
    (release,) = estate.releases("staging")
    assert f"{release}, verified on staging-1" in done.stdout
    assert estate.wheel("production") == estate.wheel("staging")
    again = estate.run("invoke promote")
    assert "nothing changed" in again.stdout, again
