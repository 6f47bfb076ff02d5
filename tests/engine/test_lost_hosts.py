"""Hosts behind SSH that are not there at the start, or vanish in the middle: real sshd, killed."""

from __future__ import annotations

import getpass
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_ops import Ops, free_port, until

from orchestrator.engine.liveness import process_started
from orchestrator.operations import get_run
from schemas.errors import Unreachable

pytestmark = pytest.mark.needs("sshd")
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin") or "sshd"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    """One sshd that listens on three addresses, which are three hosts; its folder and port."""
    folder, port = tmp_path_factory.mktemp("lost"), free_port()
    for name in ("host", "user"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(argv, check=True)
    listen = "".join(f"ListenAddress 127.0.0.{number}:{port}\n" for number in (1, 2, 3))
    (folder / "sshd_config").write_text(
        f"{listen}HostKey {folder}/host\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPidFile none\nUsePAM no\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(exist_ok=True)
    log = (folder / "log").open("wb")
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    until(
        lambda: (
            (folder / "log").read_bytes().count(b"Server listening") == 3
            or server.poll() is not None
        )
    )
    assert server.poll() is None, (folder / "log").read_text()
    yield folder, port
    server.terminate()
    server.wait()
    log.close()


@dataclass
class Farm:
    ops: Ops
    folder: Path
    port: int

    def inventory(self, **ports: int) -> Ops:
        """Three hosts; a port of its own for those that do not answer."""
        lines = [
            f"  h{number}: {{address: 127.0.0.{number}, port: {ports.get(f'h{number}', self.port)},"
            f" user: {getpass.getuser()}, key: {self.folder}/user,"
            f" home: {self.ops.work.parent}/homes/h{number}}}\n"
            for number in (1, 2, 3)
        ]
        text = f"schema_version: 1\nhosts:\n{''.join(lines)}"
        (self.ops.folder / "inventory.yaml").write_text(text)
        return self.ops


@pytest.fixture
def farm(ops, sshd, monkeypatch, tmp_path):
    folder, port = sshd
    home = tmp_path / "user"
    (home / ".ssh").mkdir(parents=True)
    key = (folder / "host.pub").read_text()
    known = "".join(f"[127.0.0.{number}]:{port} {key}" for number in (1, 2, 3))
    (home / ".ssh" / "known_hosts").write_text(known)
    monkeypatch.setenv("HOME", str(home))
    return Farm(ops, folder, port)


PUT = """
steps:
  - {id: put, task: trial.put, with: {path: "{work}/{{ host.name }}"}}
"""


def test_a_host_that_is_not_there_stops_a_run_that_tolerates_none(farm):
    ops = farm.inventory(h2=free_port())
    with pytest.raises(Unreachable, match="h2: "):
        ops.run(PUT)
    assert ops.left() == set()


def test_the_others_go_on_without_it_where_some_may_fail(farm):
    ops = farm.inventory(h2=free_port())
    notes = []
    text = "max_fail_percentage: 34" + PUT
    assert list(ops.plan(text).missing) == ["h2"]
    result = ops.run(text, listen=lambda event: notes.append(event.text))
    assert result.record.outcomes == {"h1": "changed", "h3": "changed", "h2": "unreachable"}
    assert (result.state, result.exit_code) == ("failed", 1)
    assert "h2 is unreachable" in result.record.error
    assert any(note.startswith("h2 is unreachable, the run goes without it") for note in notes)
    assert ops.left() == {"h1", "h3"}


def test_unreachable_and_failed_hosts_are_counted_together(farm):
    ops = farm.inventory(h2=free_port())
    gate = '  - {id: gate, run: "test {{ host.name }} != h3", undo: {none: it only looks}}\n'
    result = ops.run("max_fail_percentage: 34" + PUT + gate)
    assert result.state == "rolled_back"
    assert result.record.outcomes == {"h1": "cancelled", "h3": "failed", "h2": "unreachable"}
    assert ops.left() == set()


VANISH = """
max_fail_percentage: 34
steps:
  - {id: put, task: trial.put, with: {path: "{work}/{{ host.name }}"}}
  - id: drop
    undo: {none: it only looks}
    ignore_errors: true
    retry: {limit: 3, delay: 1ms}
    run: |
      test {{ host.name }} = h2 || exit 0
      p=$$
      until ps -o comm= -p $p | grep -q sshd; do p=$(ps -o ppid= -p $p | tr -d ' '); done
      kill -9 $p; sleep 5
  - {id: after, task: trial.put, with: {path: "{work}/after-{{ host.name }}"}}
on_failure: {steps: [{run: "touch {work}/told-{{ host.name }}"}]}
"""


def test_a_host_that_vanishes_in_a_step_is_unreachable_and_the_others_go_on(farm):
    ops, notes = farm.inventory(), []
    result = ops.run(VANISH, listen=lambda event: notes.append(event.text))
    assert result.record.outcomes == {"h1": "changed", "h2": "unreachable", "h3": "changed"}
    assert "drop on h2: " in result.record.error
    assert "put: not possible, the host is unreachable" in result.record.error
    assert "on_failure is not possible on h2: it is unreachable" in notes
    assert ops.left() == {"h1", "h2", "h3", "after-h1", "after-h3", "told-h1", "told-h3"}


def test_where_none_may_be_lost_the_others_are_rolled_back(farm):
    ops = farm.inventory()
    result = ops.run(VANISH.replace("max_fail_percentage: 34", ""))
    assert result.state == "failed", "the lost host keeps what it has"
    assert result.record.outcomes["h2"] == "unreachable"
    assert ops.left() == {"h2", "told-h1", "told-h3"}


def test_the_second_signal_ends_the_commands_on_all_hosts(farm):
    ops = farm.inventory()
    process = ops.start(
        """
        steps:
          - id: wait
            run: "echo $$ > {work}/new-{{ host.name }}; cd {work};
              mv new-{{ host.name }} pid-{{ host.name }}; sleep 60"
        """
    )
    files = [ops.work / f"pid-h{number}" for number in (1, 2, 3)]
    until(lambda: all(file.exists() for file in files) or process.poll() is not None)
    pids = [int(file.read_text()) for file in files]
    process.send_signal(signal.SIGINT)
    for line in process.stdout:
        if "stopping after this step" in line:
            break
    process.send_signal(signal.SIGINT)
    told = process.stdout.read()
    process.stdout.close()
    assert process.wait() == 130, told
    until(lambda: all(process_started(pid) is None for pid in pids))
    assert get_run("latest")[0].outcomes == dict.fromkeys(["h1", "h2", "h3"], "cancelled")
