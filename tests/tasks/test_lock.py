"""``requirements.lock``: what a release is made of, each file of it held to a hash."""

import re
import tomllib

from packaging.requirements import Requirement

from orchestrator.tasks.interpreter import OLDEST
from schemas.places import ops_folder

LOCK = (ops_folder() / "requirements.lock").read_text()
PROJECT = tomllib.loads((ops_folder() / "pyproject.toml").read_text())["project"]
REMAKE = (
    "uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes "
    "--no-emit-index-url --no-header --no-annotate --output-file requirements.lock"
)


def entries():
    """Requirement lines, without their hashes."""
    joined = LOCK.replace("\\\n", " ")
    return [line.partition(" --hash")[0].strip() for line in joined.splitlines() if line.strip()]


def test_each_is_pinned_and_hashed():
    for line in LOCK.replace("\\\n", " ").splitlines():
        if line.strip():
            assert re.match(r"[a-z0-9.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


def test_it_names_no_index_and_no_place_of_a_machine():
    assert not re.search(r"https?://|file:|--index|--find-links|@ /", LOCK)


def test_it_has_what_the_project_needs():
    locked = {}
    for line in entries():
        requirement = Requirement(line)
        version = str(requirement.specifier).removeprefix("==")
        locked.setdefault(requirement.name.lower(), []).append(version)
    for text in PROJECT["dependencies"]:
        wanted = Requirement(text)
        versions = locked.get(wanted.name.lower(), [])
        assert versions, f"{wanted.name} is missing: {REMAKE}"
        assert all(wanted.specifier.contains(each) for each in versions), f"{text}: {REMAKE}"


def test_the_oldest_python_is_the_projects():
    assert PROJECT["requires-python"] == ">=" + ".".join(map(str, OLDEST))
