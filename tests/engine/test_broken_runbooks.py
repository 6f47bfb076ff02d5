"""Each file in ``broken/`` is refused before anything runs: exit 2, the line, what to write."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from orchestrator.operations import list_runbooks, plan_runbook, run_runbook
from schemas.errors import InvalidInput, NotFound

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(path for path in BROKEN.glob("*.yaml") if path.stem != "fine")
EXPECT = re.compile(r"# expect: (\d+): (.+)")


@pytest.fixture
def broken(ops):
    shutil.copytree(BROKEN, ops.folder / "runbooks", dirs_exist_ok=True)
    return ops


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_broken_runbook_is_refused_with_its_line(broken, file):
    expected = EXPECT.findall(file.read_text())
    assert expected, "the file says what is expected of it"
    with pytest.raises(InvalidInput) as refused:
        run_runbook(file.stem, {}, ops=broken.folder)
    told = str(refused.value)
    assert refused.value.exit_code == 2
    for line, text in expected:
        told_there = [one for one in told.splitlines() if f"{file.name}:{line}:" in one]
        assert any(text in one for one in told_there), told
    assert not broken.runs.exists(), "nothing was run"


def test_the_runbook_that_others_name_is_fine(broken):
    assert plan_runbook("fine", {}, ops=broken.folder).rows()


def test_an_unknown_runbook_is_answered_with_the_nearest(broken):
    with pytest.raises(NotFound) as missing:
        run_runbook("finne", {}, ops=broken.folder)
    assert missing.value.exit_code == 6
    assert "fine" in missing.value.hint


def test_a_list_of_runbooks_shows_the_broken_ones_too(broken):
    found = {summary.name: summary for summary in list_runbooks(broken.folder)}
    assert found["fine"].fault == ""
    assert "octal.yaml:10" in found["octal"].fault
