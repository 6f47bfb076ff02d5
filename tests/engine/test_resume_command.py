"""Resuming and undoing as a person does it: ``invoke`` in processes of its own."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = [sys.executable, "-m", "invoke"]


def invoke(*words):
    """Run ``invoke`` to its end."""
    return subprocess.run(
        [*PROGRAM, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_a_killed_run_is_resumed_and_then_undone(ops):
    path = ops.write(
        "trial",
        f"""
        lock: trial
        steps:
          - {{id: a, task: trial.put, with: {{path: "{ops.work}/a"}}}}
          - id: b
            run: "test -e {ops.work}/go || {{ touch {ops.work}/go; kill -9 $PPID; }}"
            undo: {{none: it changes nothing}}
          - {{id: c, task: trial.put, with: {{path: "{ops.work}/c"}}}}
        """,
    )
    assert invoke("runbook.run", str(path)).returncode == -signal.SIGKILL
    assert ops.left() == {"a", "go"}
    resumed = invoke("runbook.resume", "latest")
    assert resumed.returncode == 0, resumed.stderr
    assert "b on this-machine was begun and not finished: done again" in resumed.stdout
    assert ops.left() == {"a", "go", "c"}
    assert invoke("runbook.resume", "latest").returncode == 2
    assert invoke("runbook.resume", "20200101").returncode == 6
    planned = invoke("runbook.undo", "latest", "--plan").stdout
    assert planned.index(f"path={ops.work}/c") < planned.index(f"path={ops.work}/a")
    undone = invoke("runbook.undo", "latest")
    assert undone.returncode == 0, undone.stderr
    assert ops.left() == {"go"}
    assert "there is nothing to undo" in invoke("runbook.undo", "latest", "--plan").stdout
