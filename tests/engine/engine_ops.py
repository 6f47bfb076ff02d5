"""A folder of runbooks of one's own, and what the runs in it leave behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

HEADER = "schema_version: 1\nname: {name}\ntitle: Trial\n"


@dataclass
class Ops:
    """An ops folder, and what runs in it leave behind."""

    folder: Path
    home: Path
    work: Path

    def write(self, name: str, text: str) -> Path:
        """A runbook from all that follows its title."""
        path = self.folder / "runbooks" / f"{name}.yaml"
        path.write_text(HEADER.format(name=name) + textwrap.dedent(text))
        return path

    def run(self, text: str, name: str = "trial", **options):
        """Write a runbook and run it; ``{work}`` stands for the work folder."""
        from orchestrator.operations import run_runbook

        self.write(name, text.replace("{work}", str(self.work)))
        params = options.pop("params", {})
        return run_runbook(name, params, ops=self.folder, **options)

    def plan(self, text: str, name: str = "trial", **params):
        from orchestrator.operations import plan_runbook

        self.write(name, text.replace("{work}", str(self.work)))
        return plan_runbook(name, params, ops=self.folder)

    def start(self, text: str, name: str = "trial", **params) -> subprocess.Popen[str]:
        """Write a runbook and run it in a process of its own."""
        self.write(name, text.replace("{work}", str(self.work)))
        program = (
            "import sys; from pathlib import Path\n"
            "from orchestrator.operations import run_runbook\n"
            "from schemas.errors import SessionopsError\n"
            "try: result = run_runbook(sys.argv[1], {}, ops=Path(sys.argv[2]))\n"
            "except SessionopsError as error: print(error); sys.exit(error.exit_code)\n"
            "print(result.record.error, *result.notes); sys.exit(result.exit_code)\n"
        )
        return subprocess.Popen(
            [sys.executable, "-c", program, name, str(self.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def die(self, text: str, name: str = "trial") -> int:
        """Write a runbook and run it in a child of this process; gives what ended the child."""
        self.write(name, text.replace("{work}", str(self.work)))
        from orchestrator.operations import run_runbook

        child = os.fork()
        if child == 0:
            run_runbook(name, {}, ops=self.folder)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    def left(self) -> set[str]:
        """Names in the work folder."""
        return {path.name for path in self.work.iterdir()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def states(result, phase="step"):
    """``{step: last state}`` of a phase, in order."""
    return {
        entry.step: entry.state
        for entry in result.entries
        if entry.phase == phase and entry.state != "started"
    }


def until(condition, seconds=20):
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
