"""How long the commands take as whole processes, beside the floor: Python starting and stopping.

Uses the deployment that the environment names: ``python bench/commands.py [runs]``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from schemas.places import Places, ops_folder

CURRENT = Places.of_this_user().current
BIN = CURRENT / "bin"
COMMANDS = {
    "python -c pass (the floor)": [BIN / "python", "-c", "pass"],
    "session-buddy --help": [BIN / "session-buddy", "--help"],
    "session-buddy health": [BIN / "session-buddy", "health"],
    "session-buddy list-sessions --limit 100": [
        BIN / "session-buddy",
        "list-sessions",
        "--limit=100",
    ],
    'mahavishnu shell -c "exit"': [BIN / "mahavishnu", "shell", "-c", "exit"],
    "invoke --list": [BIN / "invoke", "--list"],
    "invoke health-check": [BIN / "invoke", "health-check"],
    "invoke deploy (nothing to change)": [BIN / "invoke", "deploy"],
}
"""``invoke`` runs in the folder that holds ``tasks.py``."""


def seconds(argv: list[str | Path], folder: Path) -> float:
    """Wall time of one run; a command that fails measures nothing."""
    began = time.perf_counter()
    subprocess.run(argv, cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - began


def main() -> int:
    """Print a Markdown table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    folder = CURRENT / "ops" if CURRENT.exists() else ops_folder()
    print("| whole process | best | median | median / floor |")
    print("|---|---|---|---|")
    floor = 0.0
    for name, argv in COMMANDS.items():
        seconds(argv, folder)
        taken = [seconds(argv, folder) for _ in range(runs)]
        middle = statistics.median(taken)
        floor = floor or middle
        print(
            f"| `{name}` | {min(taken):.3f} s | {middle:.3f} s | {middle / floor:.1f} |", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
