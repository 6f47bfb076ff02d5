"""A service of the user's own, run by a runbook: on this machine and behind a real sshd alike."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from engine_ops import free_port, states
from ssh_hosts import know, ssh_hosts, write_inventory

PASSWORD = "pass-word-of-the-app"
LISTENS = (
    "import os, socket, sys, time; server = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
    "print('password of', len(os.environ['APP_PASSWORD']), flush=True); time.sleep(600)"
)
RUNBOOK = """
params:
  password: {{type: string, secret: true, default: {password}}}
steps:
  - id: password
    task: secret.place
    with: {{dest: "{folder}/app.env", value: "{{{{ params.password }}}}", variable: APP_PASSWORD}}
  - id: app
    task: process.start
    with:
      name: app
      argv: [{python}, -c, "{program}", "{port}"]
      settings: "{folder}/app.env"
      log: "{folder}/app.log"
      port: {port}
    verify: {{task: port.check, with: {{port: {port}}}}}
  - id: nightly
    task: schedule.cron
    with: {{name: app-report, at: "0 3 * * *", line: "date +%F"}}
  - id: key
    task: users.authorized_key
    with: {{user: "{{{{ host.user }}}}", key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 on call"}}
  - id: breaks
    run: "test -e {folder}/fine"
    undo: {{none: it only looks}}
"""


@pytest.fixture
def behind_sshd(ops, tmp_path, monkeypatch):
    """A host of its own user; gives the folder that runs work in there."""
    with ssh_hosts("app") as hosts:
        know(tmp_path / "user", hosts)
        monkeypatch.setenv("HOME", str(tmp_path / "user"))
        write_inventory(ops.folder / "inventory.yaml", hosts)
        yield hosts[0]


def runbook(folder):
    return RUNBOOK.format(
        password=PASSWORD,
        folder=folder,
        python=shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable,
        program=LISTENS,
        port=free_port(),
    )


@pytest.mark.needs("sshd", "crontab", "useradd")
def test_a_run_that_breaks_takes_everything_back_and_a_good_one_is_unchanged_the_second_time(
    ops, behind_sshd
):
    host, folder = behind_sshd, Path(behind_sshd.home) / "service"
    text = runbook(folder)
    broken = ops.run(text)
    assert broken.state == "rolled_back", broken.record.error
    assert states(broken)["nightly"] == "changed"
    assert host.run(f"ls {folder}; crontab -l; ls -d .ssh").stdout.splitlines() == ["app.log"]
    host.run(f"touch {folder}/fine")
    first = ops.run(text)
    assert first.state == "succeeded", first.record.error
    assert "password of 20" in (folder / "app.log").read_text()
    assert host.run("cat .ssh/authorized_keys").stdout.endswith("on call\n")
    assert "date +\\%F" in host.run("crontab -l").stdout
    second = ops.run(text)
    assert set(states(second).values()) == {"ok", "changed"}
    assert [step for step, state in states(second).items() if state == "changed"] == ["breaks"]
    kept = [path for path in ops.runs.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if PASSWORD in path.read_text(errors="replace")]
