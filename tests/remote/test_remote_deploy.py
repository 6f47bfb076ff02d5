"""The tracker on one host and the shell on two others, through real sshd; from a checkout here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deployments import unused_port
from ssh_hosts import know, ssh_hosts, write_inventory

pytestmark = [pytest.mark.needs("sshd"), pytest.mark.xdist_group("remote-deploy")]
CHECKOUT = Path(__file__).parents[2]
INVOKE = Path(sys.executable).with_name("invoke")


class Fleet:
    """Three hosts, and the machine that deploys to them."""

    def __init__(self, folder, hosts):
        self.tracker, self.one, self.two = hosts
        self.home = folder / "control"
        know(self.home, hosts)
        port = unused_port()
        servers = {
            "session_buddy.port": port,
            "mahavishnu.port": unused_port(),
            "mahavishnu.observability.metrics_port": unused_port(),
        }
        shells = [
            (
                host,
                {
                    "settings": {
                        "session_buddy.url": f"http://127.0.0.1:{port}",
                        "session_buddy.token_file": f"{host.home}/.session-buddy/token",
                    }
                },
            )
            for host in (self.one, self.two)
        ]
        groups = {"tracker": {"hosts": ["tracker"]}, "shells": {"hosts": ["one", "two"]}}
        self.inventory = write_inventory(
            folder / "inventory.yaml", [(self.tracker, {"settings": servers}), *shells], groups
        )
        kept = ("PATH", "LANG", "TMPDIR", "UV_CACHE_DIR", "UV_DEFAULT_INDEX", "PIP_INDEX_URL")
        self.environ = {name: os.environ[name] for name in kept if name in os.environ}
        self.environ |= {"HOME": str(self.home), "DEPLOY_START_AT_BOOT": "false"}

    def invoke(self, *words, **variables):
        return subprocess.run(
            [INVOKE, *words, "--inventory", self.inventory],
            cwd=CHECKOUT,
            env=self.environ | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def on_tracker(self, line):
        done = self.tracker.run(f"{self.tracker.home}/.mahavishnu/current/bin/{line}")
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    with ssh_hosts("tracker", "one", "two") as hosts:
        made = Fleet(folder, hosts)
        done = made.invoke("deploy")
        assert done.returncode == 0, done.stdout + done.stderr
        yield made


def test_the_release_is_made_there_without_an_index(fleet):
    state = fleet.tracker.home / ".mahavishnu" / "state"
    assert len(list((state / "wheels").glob("*.whl"))) > 50
    assert list((state / "uv").glob("*/uv"))
    assert not (fleet.tracker.home / ".cache" / "uv").exists()


def test_a_second_deploy_changes_nothing(fleet):
    done = fleet.invoke("deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing changed" in done.stdout


def test_the_scenarios_pass_there_as_they_do_here(fleet):
    done = fleet.invoke("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 scenarios passed" in done.stdout


def test_a_backup_is_made_there(fleet):
    done = fleet.invoke("backup", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((fleet.tracker.home / ".session-buddy" / "backups").glob("*.db.zst"))


def test_shells_elsewhere_tell_the_tracker(fleet):
    words = "generate-token --audience session-buddy --scope ingest --scope read"
    token = fleet.on_tracker(f"mahavishnu {words}").split()[-1]
    done = fleet.invoke("runbook.run", "deploy-shell", SHELL_TOKEN=token)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = json.loads(fleet.on_tracker("session-buddy list-sessions --limit 1000 --format json"))
    shells = {one["user"] for one in listed if one["session_type"] == "admin_shell"}
    assert {fleet.one.user, fleet.two.user} <= shells
    for folder in (fleet.home, fleet.one.home, fleet.two.home):
        said = [
            path
            for path in folder.rglob("*")
            if path.is_file() and "wheel" not in str(path) and token.encode() in path.read_bytes()
        ]
        assert [path.name for path in said] in ([], ["token"])
    bad = fleet.invoke("runbook.run", "deploy-shell", "--limit", "one", SHELL_TOKEN="no-token-a")
    assert bad.returncode == 5
    assert "401 Unauthorized" in bad.stderr
    assert (fleet.one.home / ".session-buddy" / "token").read_text().strip() == token
