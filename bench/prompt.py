"""What the hook costs at a prompt, beside a bare shell and hooks that start a process each time.

``python bench/prompt.py [commands] [rounds]`` drives real interactive shells on a terminal, in a
home and a deployment of their own, whose tracker does not run. The rounds of all variants take
turns, so that what else the machine does meets all of them.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import psutil

BIN = Path(sys.executable).parent
PROMPT = "READY> "
START_UP = {"bash": ".bashrc", "zsh": ".zshrc"}
SPAWNING = {
    "bash": "PROMPT_COMMAND='{} >/dev/null'",
    "zsh": "precmd() {{ {} >/dev/null; }}",
}
STALLED = "our hook, recorder stopped, pipe full"


@dataclass
class Measured:
    """One variant; times in seconds, memory in bytes."""

    first: list[float] = field(default_factory=list)
    lines: list[float] = field(default_factory=list)
    memory: int = 0


def variants(shell: str, home: Path) -> dict[str, str]:
    """Start-up lines by the name of what they do."""
    printed = subprocess.run([BIN / "session-buddy", "hook", shell], stdout=-1, check=True).stdout
    (home / "hook").write_bytes(printed)
    return {
        "bare": "",
        "our hook, from a file": f". {home}/hook",
        'our hook, eval "$(...)"': f'eval "$({BIN}/session-buddy hook {shell})"',
        STALLED: f". {home}/hook",
        "peer: /bin/true a prompt": SPAWNING[shell].format("/bin/true"),
        "peer: python -c pass a prompt": SPAWNING[shell].format(f"{sys.executable} -c pass"),
    }


def recorder(shell: int) -> psutil.Process | None:
    """The process that records a shell."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "tracker.client.hooks.record" in words and str(shell) in words:
            return process
    return None


def stall(process: psutil.Process) -> None:
    """Stop a recorder and fill its pipe."""
    folder = Path(f"/proc/{process.pid}/fd")
    process.send_signal(signal.SIGSTOP)
    path = next(one for one in folder.iterdir() if one.readlink().name.startswith("pipe:"))
    pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while os.write(pipe, bytes(4096)):
            pass
    except BlockingIOError:
        os.close(pipe)


def measure(shell: str, home: Path, name: str, lines: str, commands: int, to: Measured) -> None:
    """Add one round."""
    quiet = "unsetopt zle prompt_sp\n" if shell == "zsh" else ""
    (home / START_UP[shell]).write_text(f"{quiet}{lines}\nPS1='{PROMPT}'\n")
    environ = {**os.environ, "HOME": str(home), "TERM": "dumb"}
    environ |= {"MAHAVISHNU_HOME": f"{home}/m", "SESSION_BUDDY_HOME": f"{home}/b"}
    began = time.perf_counter()
    child = pexpect.spawn(shell, ["-i"], env=environ, timeout=30, encoding="utf-8")
    child.delaybeforesend = None
    child.expect_exact(PROMPT)
    to.first.append(time.perf_counter() - began)
    time.sleep(1)
    process = recorder(child.pid)
    if name == STALLED and process:
        stall(process)
    for _ in range(commands):
        began = time.perf_counter()
        child.sendline(":")
        child.expect_exact(PROMPT)
        to.lines.append(time.perf_counter() - began)
    if process:
        to.memory = max(to.memory, process.memory_info().rss)
        process.send_signal(signal.SIGCONT)
    child.sendline("exit 0")
    child.expect(pexpect.EOF)


def main() -> int:
    """Print a Markdown table."""
    commands = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print("| shell | | first prompt | a command line | more than bare | worst | recorder |")
    print("|---|---|---|---|---|---|---|")
    for shell in START_UP:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            found = variants(shell, Path(folder))
            results = {name: Measured() for name in found}
            for _ in range(rounds):
                for name, lines in found.items():
                    measure(shell, Path(folder), name, lines, commands, results[name])
            bare = statistics.median(results["bare"].lines)
            for name, result in results.items():
                line = statistics.median(result.lines)
                memory = f"{result.memory / 1e6:.0f} MB" if result.memory else ""
                print(
                    f"| {shell} | {name} | {statistics.median(result.first) * 1e3:.0f} ms "
                    f"| {line * 1e6:.0f} µs | {(line - bare) * 1e6:+.0f} µs "
                    f"| {max(result.lines) * 1e3:.1f} ms | {memory} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
