"""Which commands tasks build: arguments and facts about the host in, argument lists out.

The cases are in ``commands/*.yaml``: ``of`` names the function, each case its arguments and what it
gives, or the fault that it tells.
"""

import importlib
from pathlib import Path

import pytest
import yaml

from schemas.errors import InvalidInput

FOLDER = Path(__file__).parent / "commands"


def cases():
    for file in sorted(FOLDER.glob("*.yaml")):
        for group in yaml.safe_load(file.read_text()):
            for case in group["cases"]:
                yield pytest.param(group["of"], case, id=f"{file.stem}-{case['name']}")


@pytest.mark.parametrize(("function", "case"), list(cases()))
def test_the_command_is(function, case):
    module, _, name = function.partition(":")
    build = getattr(importlib.import_module(f"orchestrator.tasks.{module}"), name)
    if "fault" in case:
        with pytest.raises(InvalidInput, match=case["fault"]):
            build(**case["with"])
        return
    assert plain(build(**case["with"])) == case["gives"]


def plain(value):
    """As YAML has it: what is no list, mapping or scalar by its text."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value if isinstance(value, str | int | float | None) else str(value)
