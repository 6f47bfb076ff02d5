"""A host behind a real sshd: the same steps, the same promises as on this machine."""

from __future__ import annotations

import getpass
import json
import shutil
import subprocess
import textwrap

import pytest
from engine_ops import free_port, states, until

from orchestrator.engine.liveness import process_started
from schemas.errors import Unreachable

pytestmark = pytest.mark.needs("sshd")
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin") or "sshd"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    """An sshd of our own, with its keys; gives its folder and port."""
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    for name in ("host", "user", "other"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(argv, check=True)
    (folder / "authorized_keys").write_bytes((folder / "user.pub").read_bytes())
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nPidFile none\nUsePAM no\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    if getpass.getuser() == "root":
        subprocess.run(["mkdir", "-p", "/run/sshd"], check=True)
    log = (folder / "log").open("wb")
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    until(lambda: b"Server listening" in (folder / "log").read_bytes() or server.poll() is not None)
    assert server.poll() is None, (folder / "log").read_text()
    yield folder, port
    server.terminate()
    server.wait()
    log.close()


@pytest.fixture
def remote(ops, sshd, monkeypatch, tmp_path):
    """An inventory with that host, whose key the user knows."""
    folder, port = sshd
    user_home = tmp_path / "user"
    (user_home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(user_home))
    know(user_home, port, folder / "host.pub")
    (ops.folder / "inventory.yaml").write_text(
        textwrap.dedent(f"""
        schema_version: 1
        hosts:
          far:
            address: 127.0.0.1
            port: {port}
            user: {getpass.getuser()}
            key: {folder}/user
            home: {ops.work}/far-home
            tracker_home: {ops.work}/far-tracker
            settings: {{mahavishnu.port: 3777}}
            vars: {{colour: green}}
        """)
    )
    return ops


def know(user_home, port, key):
    line = f"[127.0.0.1]:{port} {key.read_text()}"
    (user_home / ".ssh" / "known_hosts").write_text(line)


def test_a_runbook_runs_there_as_it_does_here(remote):
    text = """
    lock: trial
    params: {word: {secret: true, default: very-secret-word}}
    steps:
      - {id: write, task: trial.put, with: {path: "{work}/a", text: "{{ vars.colour }}"}}
      - {id: again, task: trial.put, with: {path: "{work}/a", text: green}}
      - id: shell
        env: {WORD: "{{ params.word }}", QUOTED: "it's $HOME"}
        run: "ps -eo args | grep -c '[v]ery-secret-word'; echo $QUOTED {{ host.connection }}"
        undo: {none: it only looks}
      - {id: port, run: "test {{ settings.mahavishnu.port }} = 3777", undo: {none: it only looks}}
      - {id: breaks, run: "exit 3"}
    """
    result = remote.run(text)
    assert result.record.error == "breaks on far: exit 3 ended with 3"
    assert states(result)["again"] == "ok"
    shell = next(one for one in result.entries if one.step == "shell" and one.outputs)
    assert shell.outputs["stdout"] == "0\nit's $HOME ssh", "nobody sees the environment in ps"
    assert result.state == "rolled_back"
    assert remote.left() == {"far-home"}
    assert not list((remote.work / "far-home" / "state" / "locks").iterdir())


def test_the_lock_is_touched_over_a_connection_of_its_own(remote, monkeypatch):
    monkeypatch.setattr("orchestrator.engine.start.EVERY", 0.05)
    lock = "{work}/far-home/state/locks/trial.lock"
    # The step keeps its own shell busy until the file's age has changed.
    text = f"""
    lock: trial
    steps:
      - id: a
        run: >-
          touch -d '1 hour ago' {lock};
          while find {lock} -mmin +30 | grep -q .; do sleep 0.05; done
        timeout: 60s
        undo: {{none: it only looks}}
    """
    result = remote.run(text)
    assert result.state == "succeeded", result.record.error
    assert not list((remote.work / "far-home" / "state" / "locks").iterdir())


def test_large_and_binary_content_and_standard_input_pass_the_channel(remote):
    (remote.folder / "tasks" / "bulk.py").write_text(
        textwrap.dedent(
            """
            from invoke.tasks import task
            from orchestrator.tasks import command
            from orchestrator.tasks.outcome import Outcome

            @task
            def there_and_back(c, path):
                content = bytes(range(256)) * 2000
                command.write_file(c, path, content, 0o640)
                assert command.read_file(c, path) == content
                assert command.read_file(c, path + ".not") is None
                long = command.run(c, ["cat"], input="x" * 3_000_000)
                assert len(long.stdout) > 2_000_000
                assert command.run(c, ["cat"]).stdout == ""
                assert command.run(c, ["sh", "-c", "exit 7"], check=False).exit_code == 7
                return Outcome(True)
            """
        )
    )
    path = remote.work / "bulk"
    text = f'steps: [{{id: bulk, task: bulk.there_and_back, with: {{path: "{path}"}}}}]'
    result = remote.run(text)
    assert result.state == "succeeded", result.record.error
    assert oct(path.stat().st_mode)[-3:] == "640"


def test_a_command_that_never_ends_is_ended_on_the_host(remote):
    text = """
    steps:
      - {id: endless, timeout: 500ms, run: "sleep 60 & echo $! > {work}/pid; sleep 60"}
    """
    result = remote.run(text)
    assert "did not end within 500 ms" in result.record.error
    pid = int((remote.work / "pid").read_text())
    until(lambda: process_started(pid) is None)


def test_a_connection_that_drops_fails_the_step(remote):
    text = """
    steps:
      - id: drop
        timeout: 10s
        run: |
          p=$$
          until ps -o comm= -p $p | grep -q sshd; do p=$(ps -o ppid= -p $p | tr -d ' '); done
          kill -9 $p; sleep 5
    """
    result = remote.run(text)
    assert result.state == "failed"
    assert "the connection was lost" in result.record.error


@pytest.mark.parametrize("known", ["none", "other"])
def test_a_host_whose_key_is_not_known_is_refused(remote, sshd, tmp_path, known):
    folder, port = sshd
    if known == "other":
        know(tmp_path / "user", port, folder / "other.pub")
    else:
        (tmp_path / "user" / ".ssh" / "known_hosts").unlink()
    with pytest.raises(Unreachable, match=r"key|known_hosts"):
        remote.run("steps: [{id: one, run: 'touch {work}/one'}]")
    assert remote.left() == set()


def test_a_host_that_does_not_answer_is_named(remote):
    inventory = remote.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("port: ", f"port: {free_port()} #", 1))
    with pytest.raises(Unreachable) as refused:
        remote.run("steps: [{id: one, run: 'true'}]")
    assert str(refused.value).startswith("far: ")


def test_the_settings_in_force_there_are_read_from_there(remote):
    etc = remote.work / "far-home" / "etc"
    etc.mkdir(parents=True)
    (etc / "mahavishnu.yaml").write_text("log_level: DEBUG\nport: 3555\n")
    (etc / "session-tracking.env").write_text("SESSION_BUDDY_PORT=8777\n")
    text = """
    steps:
      - id: look
        run: "echo {{ settings.mahavishnu | json | quote }} {{ urls.tracker }}"
    """
    outputs = remote.run(text).entries[-1].outputs
    told, _, tracker = outputs["stdout"].rpartition(" ")
    assert (json.loads(told)["log_level"], json.loads(told)["port"]) == ("DEBUG", 3777)
    assert tracker == "http://127.0.0.1:8777"
