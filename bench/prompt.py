"""What the hook costs at a prompt, beside a bare shell and hooks that start a process each time.

``python bench/prompt.py [commands]`` drives real interactive shells on a terminal, in a home and a
deployment of their own, whose tracker does not run.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
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


def variants(shell: str, home: Path) -> dict[str, str]:
    """Start-up lines by the name of what they do."""
    os.system(f"{BIN}/session-buddy hook {shell} > {home}/hook")  # noqa: S605
    return {
        "bare": "",
        "our hook, from a file": f". {home}/hook",
        'our hook, eval "$(...)"': f'eval "$({BIN}/session-buddy hook {shell})"',
        "peer: /bin/true a prompt": SPAWNING[shell].format("/bin/true"),
        "peer: python -c pass a prompt": SPAWNING[shell].format(f"{sys.executable} -c pass"),
    }


def measured(shell: str, home: Path, lines: str, commands: int) -> tuple[float, float, float]:
    """Seconds to the first prompt, median seconds a command line, and the recorder's bytes."""
    quiet = "unsetopt zle prompt_sp\n" if shell == "zsh" else ""
    (home / START_UP[shell]).write_text(f"{quiet}{lines}\nPS1='{PROMPT}'\n")
    environ = {**os.environ, "HOME": str(home), "TERM": "dumb"}
    environ |= {"MAHAVISHNU_HOME": f"{home}/m", "SESSION_BUDDY_HOME": f"{home}/b"}
    began = time.perf_counter()
    child = pexpect.spawn(shell, ["-i"], env=environ, timeout=30, encoding="utf-8")
    child.delaybeforesend = None
    child.expect_exact(PROMPT)
    first = time.perf_counter() - began
    time.sleep(1)
    taken = []
    for _ in range(commands):
        began = time.perf_counter()
        child.sendline(":")
        child.expect_exact(PROMPT)
        taken.append(time.perf_counter() - began)
    memory = sum(
        process.memory_info().rss
        for process in psutil.process_iter(["cmdline"])
        if "tracker.client.hooks.record" in (process.info["cmdline"] or [])
        and str(child.pid) in process.info["cmdline"]
    )
    child.sendline("exit 0")
    child.expect(pexpect.EOF)
    return first, statistics.median(taken), memory


def main() -> int:
    """Print a Markdown table."""
    commands = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print("| shell | | first prompt | a command line | more than bare | recorder |")
    print("|---|---|---|---|---|---|")
    for shell in START_UP:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            bare = 0.0
            for name, lines in variants(shell, Path(folder)).items():
                first, line, memory = measured(shell, Path(folder), lines, commands)
                bare = bare or line
                print(
                    f"| {shell} | {name} | {first * 1e3:.0f} ms | {line * 1e6:.0f} µs "
                    f"| {(line - bare) * 1e6:+.0f} µs | {memory / 1e6:.0f} MB |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
