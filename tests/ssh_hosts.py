"""Hosts behind real sshd: each with an address, a host key, a Unix user and a home of its own.

Needs root, since it makes users; they are removed with their homes at the end.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from deployments import unused_port, wait_for

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin") or "sshd"
_FIRST_ADDRESS = 40


@dataclass
class SshHost:
    """One host.

    Args:
        name: its name in the inventory.
        user: its Unix user, whose home is the host's own.
        address, port: where its sshd listens.
        key: the private key that lets one in.
        folder: its host key, configuration and log.
    """

    name: str
    user: str
    address: str
    port: int
    key: Path
    folder: Path
    process: subprocess.Popen | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        """The user's home."""
        return Path(pwd.getpwnam(self.user).pw_dir)

    @property
    def known(self) -> str:
        """Its line for ``known_hosts``."""
        return f"[{self.address}]:{self.port} {(self.folder / 'host.pub').read_text()}"

    def entry(self, **more):
        """Its entry in an inventory."""
        return {
            "address": self.address,
            "port": self.port,
            "user": self.user,
            "key": str(self.key),
            "home": f"{self.home}/.mahavishnu",
            "tracker_home": f"{self.home}/.session-buddy",
            **more,
        }

    def start(self) -> None:
        """Start its sshd, and wait until it listens."""
        log = self.folder / "log"
        log.write_bytes(b"")
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", self.folder / "sshd_config"], stderr=stream
            )
        wait_for(lambda: b"Server listening" in log.read_bytes() or self.process.poll() is not None)
        assert self.process.poll() is None, log.read_text()

    def drop(self) -> None:
        """End its sshd and every connection, at once, as a power cut does."""
        if self.process is None:
            return
        for pid in (*_below(self.process.pid), self.process.pid):
            _kill(pid)
        self.process.wait()
        self.process = None

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as the host's user, without SSH."""
        argv = ["su", "-l", self.user, "-s", "/bin/sh", "-c", line]
        return subprocess.run(argv, capture_output=True, text=True, cwd=self.home, check=False)

    def processes(self) -> list[int]:
        """The user's processes that do not belong to an SSH connection."""
        own = pwd.getpwnam(self.user).pw_uid
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if folder.stat().st_uid == own and b"sshd" not in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:  # it has just ended
                continue
        return found


def _kill(pid: int) -> None:
    """Kill a process that may have ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def ssh_hosts(*names):
    """Hosts of these names that run while the context lasts."""
    Path("/run/sshd").mkdir(parents=True, exist_ok=True)
    # Not below pytest's folder, which every start of pytest closes to other users again.
    folder = Path(tempfile.mkdtemp(prefix="sessionops-hosts-"))
    folder.chmod(0o711)
    _keygen(folder / "user")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        hosts = []
        for number, name in enumerate(names):
            host = _make(folder, name, number)
            stack.callback(_remove, host)
            host.start()
            hosts.append(host)
        yield hosts


def write_inventory(path: Path, hosts, groups=None, **more):
    """An inventory of hosts, each given as host or as pair of host and more of its entry."""
    pairs = [each if isinstance(each, tuple) else (each, {}) for each in hosts]
    entries = {host.name: host.entry(**extra) for host, extra in pairs}
    data = {"schema_version": 1, "hosts": entries, "groups": groups or {}, **more}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def know(home: Path, hosts) -> None:
    """Let a user know the keys of hosts."""
    folder = home / ".ssh"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "known_hosts").write_text("".join(host.known for host in hosts))


def _make(folder: Path, name: str, number: int) -> SshHost:
    own = folder / name
    own.mkdir(mode=0o711)
    user = f"so{os.getpid()}{chr(97 + number)}"
    subprocess.run(
        ["useradd", "-m", "-d", own / "home", "-s", "/bin/bash", "-p", "*", user],
        check=True,
        capture_output=True,
    )
    port, address = unused_port(), f"127.0.0.{_FIRST_ADDRESS + number}"
    _keygen(own / "host")
    shutil.copy(folder / "user.pub", own / "authorized_keys")
    (own / "sshd_config").write_text(
        f"ListenAddress {address}:{port}\nHostKey {own}/host\nStrictModes no\nPidFile none\n"
        f"AuthorizedKeysFile {own}/authorized_keys\nUsePAM no\nPasswordAuthentication no\n"
        "Subsystem sftp internal-sftp\nMaxStartups 100\nAllowUsers " + user + "\n"
    )
    return SshHost(name, user, address, port, folder / "user", own)


def _remove(host: SshHost) -> None:
    host.drop()
    deadline = time.monotonic() + 10
    while (left := host.processes()) and time.monotonic() < deadline:
        for pid in left:
            _kill(pid)
        time.sleep(0.05)
    subprocess.run(["crontab", "-r", "-u", host.user], capture_output=True, check=False)
    subprocess.run(["userdel", "-r", "-f", host.user], capture_output=True, check=False)


def _keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def _below(pid: int) -> list[int]:
    """The processes below one, the farthest first."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    children: dict[int, list[int]] = {}
    for line in listed.stdout.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)

    def under(one: int) -> list[int]:
        return [found for child in children.get(one, []) for found in (*under(child), child)]

    return under(pid)
