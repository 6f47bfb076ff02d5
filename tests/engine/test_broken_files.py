"""Each inventory, template and rule file in ``broken_files/`` is told of by lint at its line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from orchestrator.operations import lint

BROKEN = Path(__file__).parent / "broken_files"
EXPECT = re.compile(r"expect: (\d+): ?(.*?)(?: #})?$", re.MULTILINE)
PLACES = {".inventory.yaml": "", ".template.j2": "templates", ".rules.yml": "alerts"}


@pytest.mark.parametrize("file", sorted(BROKEN.iterdir()), ids=lambda path: path.name)
def test_a_broken_file_is_told_of_at_its_line(ops, file):
    [place] = [folder for suffix, folder in PLACES.items() if file.name.endswith(suffix)]
    target = ops.folder / place / (file.name if place else "inventory.yaml")
    target.parent.mkdir(exist_ok=True)
    shutil.copy(file, target)
    [(line, text)] = EXPECT.findall(file.read_text())
    found = [one for one in lint(ops.folder) if one.where.endswith(f"{target.name}:{line}")]
    assert [one for one in found if text in one.message], [str(one) for one in lint(ops.folder)]
