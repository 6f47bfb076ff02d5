"""Hosts that lack something: each step says in one line what, and leaves nothing behind."""

from __future__ import annotations

import subprocess

import pytest
from ssh_hosts import know, ssh_hosts, write_inventory

pytestmark = [pytest.mark.needs("sshd"), pytest.mark.xdist_group("remote-shell")]

TOOLS = [
    *("sh", "id", "uname", "base64", "tr", "mkdir", "dirname", "chmod", "cat", "sync", "mv", "rm"),
    *("setsid", "cksum"),
]


@pytest.fixture(scope="module")
def bare():
    """A host whose user finds neither Python nor sudo."""
    with ssh_hosts("bare") as (host,):
        tools = host.home / "tools"
        tools.mkdir()
        for name in TOOLS:
            found = subprocess.run(["which", name], capture_output=True, text=True, check=True)
            (tools / name).symlink_to(found.stdout.strip())
        with (host.folder / "sshd_config").open("a") as config:
            config.write(f"SetEnv PATH={tools}\n")
        host.drop()
        host.start()
        yield host


@pytest.fixture
def there(bare, ops, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    know(tmp_path / "user", [bare])
    write_inventory(ops.folder / "inventory.yaml", [bare])
    return ops


def test_a_host_without_python_does_its_steps(there, bare):
    text = f"""
    steps:
      - {{id: look, run: "echo [{{{{ host.python }}}}]", undo: {{none: it looks}}}}
      - {{id: put, task: trial.put, with: {{path: "{bare.home}/a", text: b}}, undo: {{none: x}}}}
    """
    result = there.run(text)
    assert result.state == "succeeded", result.record.error
    look = next(one for one in result.entries if one.step == "look" and one.outputs)
    assert look.outputs["stdout"] == "[]"


def test_a_step_that_needs_root_says_that_it_may_not(there):
    result = there.run("steps: [{id: root, sudo: true, run: 'id -u', undo: {none: it looks}}]")
    assert result.state == "failed"
    assert "may not become root" in result.record.error
    assert "NOPASSWD" in result.hint


def test_a_full_disk_fails_the_write_and_leaves_what_was_there(there, bare):
    disk = bare.home / "small"
    disk.mkdir()
    size = "size=64k,mode=0777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], check=True)
    try:
        (disk / "file").write_text("as it was")
        (disk / "file").chmod(0o666)
        (disk / "fill").write_bytes(b"x" * 40_000)
        text = f"""
        steps:
          - id: put
            task: trial.put
            with: {{path: "{disk}/file", text: "{{{{ 'y' * 60000 }}}}"}}
            undo: {{none: nothing}}
        """
        result = there.run(text)
        assert result.state == "failed"
        assert "No space left on device" in result.record.error
        assert (disk / "file").read_text() == "as it was"
        assert {path.name for path in disk.iterdir()} == {"file", "fill"}
    finally:
        subprocess.run(["umount", disk], check=True)
