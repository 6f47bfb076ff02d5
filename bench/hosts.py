"""The same job of 20 steps on hosts behind sshd, with this engine, pyinfra, ansible-core and ssh.

``python bench/hosts.py [rounds [hosts ...]]`` as root: it makes Unix users and starts sshd on
loopback. pyinfra and ansible-core are installed into a virtual environment of their own.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from hosts_jobs import Job  # noqa: E402 -- below tests/ on the path
from ssh_hosts import SshHost, ssh_hosts  # noqa: E402


@dataclass(frozen=True)
class Run:
    """One run of one tool.

    Args:
        wall: seconds from the start of its process to the end.
        work: seconds from the first connection to the last step on the last host.
        cpu: seconds of CPU on this side, with its children.
        memory: MiB of its largest process at its peak.
    """

    wall: float
    work: float
    cpu: float
    memory: float


class FirstConnection(threading.Thread):
    """Notes when the first of the hosts is connected to; its sshd says so in its log."""

    def __init__(self, hosts: list[SshHost]) -> None:
        super().__init__(daemon=True)
        self._logs = [host.folder / "log" for host in hosts]
        self._sizes = [log.stat().st_size for log in self._logs]
        self._over = threading.Event()
        self.at = 0.0

    def run(self) -> None:
        """Look every 2 ms until one has grown."""
        while not self._over.wait(0.002):
            if [log.stat().st_size for log in self._logs] != self._sizes:
                self.at = time.time()
                return

    def stop(self) -> float:
        """When it was."""
        self._over.set()
        self.join()
        return self.at


def run(argv: list[str], hosts: list[SshHost], environ: dict[str, str], log: Path) -> Run:
    """Run a tool once from a clean start; one that fails measures nothing."""
    for host in hosts:
        host.run(
            "kill $(cat pid 2>/dev/null) 2>/dev/null; rm -rf conf* first last mark pid .ansible"
        )
    watch = FirstConnection(hosts)
    watch.start()
    with log.open("wb") as out:
        began = time.perf_counter()
        child = subprocess.Popen(
            argv, cwd=PROJECT, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{argv[:3]} ended with {child.returncode}:\n{log.read_text()}")
    last = max(float((host.home / "last").read_text()) for host in hosts)
    cpu = used.ru_utime + used.ru_stime
    return Run(wall, last - watch.stop(), cpu, used.ru_maxrss / 1024)


def tools_in(folder: Path) -> Path:
    """A virtual environment with the tools that are compared; gives its ``bin``."""
    venv.create(folder, with_pip=True)
    wanted = ["ansible-core", "pyinfra"]
    subprocess.run([folder / "bin" / "pip", "install", "-q", *wanted], check=True)
    return folder / "bin"


def compare(count: int, rounds: int, folder: Path, tools: Path) -> None:
    """Print the table for a number of hosts: medians of rounds in which the tools take turns."""
    names = [f"host{number}" for number in range(count)]
    home = folder / "home"
    environ = dict(os.environ) | {"MAHAVISHNU_HOME": str(home), "NO_COLOR": "1"}
    environ |= {"SESSION_BUDDY_HOME": str(home / "tracker"), "ANSIBLE_HOME": str(home / "ansible")}
    with ssh_hosts(*names) as hosts:
        for host in hosts:
            with (host.folder / "sshd_config").open("a") as config:
                config.write("LogLevel VERBOSE\n")
            host.drop()
            host.start()
        commands = Job(folder / f"job{count}", hosts, tools).commands()
        found: dict[str, list[Run]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, argv in commands.items():
                took = run(argv, hosts, environ, folder / "log")
                if number:  # the first fills the caches
                    found[name].append(took)
    print(f"\n{count} host{'s' if count > 1 else ''}, medians of {rounds} rounds\n")
    print(
        "| tool | whole process | / floor | first connection to last step | / floor | CPU | peak |"
    )
    print("|---|---|---|---|---|---|---|")
    floor = median(next(iter(found.values())))
    for name, runs in found.items():
        one = median(runs)
        print(
            f"| {name} | {one.wall:.2f} s | {one.wall / floor.wall:.1f} | {one.work:.2f} s | "
            f"{one.work / floor.work:.1f} | {one.cpu:.2f} s | {one.memory:.0f} MiB |"
        )


def median(runs: list[Run]) -> Run:
    """The median of each figure."""
    return Run(
        *(
            statistics.median(getattr(one, name) for one in runs)
            for name in ("wall", "work", "cpu", "memory")
        )
    )


def main() -> int:
    """Print Markdown tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    counts = [int(word) for word in sys.argv[2:]] or [1, 10]
    folder = Path(tempfile.mkdtemp(prefix="bench-hosts-"))
    try:
        own = os.environ.get("BENCH_TOOLS")
        tools = Path(own) if own else tools_in(folder / "tools")
        for count in counts:
            compare(count, rounds, folder, tools)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
