"""``docs/writing-runbooks.md`` is followed word by word by somebody who has nothing yet."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "writing-runbooks.md").read_text()
BLOCK = re.compile(r"(?:`(?P<file>~/[^`]+)`:\n\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
MARK = "-- end of block --"


def script(blocks):
    """One shell's work: files are written as the page shows them, commands are run."""
    lines = ["set -e", "exec 2>&1"]
    for block in blocks:
        if block["file"]:
            path = block["file"].replace("~", "$HOME", 1)
            lines += [f'mkdir -p "$(dirname "{path}")"', f"cat > \"{path}\" <<'END_OF_FILE'"]
            lines += [block["text"] + "END_OF_FILE"]
        elif block["kind"] == "sh":
            lines += [block["text"], f"echo '{MARK}'"]
    return "\n".join(lines)


def test_a_newcomer_who_types_what_the_page_says_sees_what_it_says(ops, tmp_path):
    blocks = list(BLOCK.finditer(PAGE))
    kinds = [block["kind"] for block in blocks if not block["file"]]
    assert kinds == ["sh", "text"] * (len(kinds) // 2), "each command shows what it prints"
    assert all(block["file"] or block["kind"] in ("sh", "text") for block in blocks)
    home = tmp_path / "newcomer"
    home.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", script(blocks)],
        cwd=CHECKOUT,
        env=os.environ | {"HOME": str(home), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    printed = done.stdout.split(MARK)[:-1]
    expected = [block["text"] for block in blocks if block["kind"] == "text"]
    assert len(printed) == len(expected)
    for output, lines in zip(printed, expected, strict=True):
        for line in lines.splitlines():
            assert line in output, output
