"""The pages of a folder that people operate from: what they should say, and whether they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.engine.load import load_runbook, runbook_files
from orchestrator.pages import runbook as page
from orchestrator.pages.task import task_page
from orchestrator.tasks.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.engine.checked import Checker

_FOLDER = "docs/runbooks"
TASKS = "docs/tasks.md"


def runbook_pages(ops: Path, checker: Checker) -> dict[str, str]:
    """Every runbook's page and the index, by path below ``ops``.

    Raises:
        InvalidInput: a runbook is broken.
    """
    files = runbook_files(ops)
    every = [load_runbook(str(file), ops, checker) for file in files]
    pages = {f"{_FOLDER}/README.md": page.index_page(every)}
    for file, loaded in zip(files, every, strict=True):
        source = file.relative_to(ops).as_posix()
        pages[f"{_FOLDER}/{file.stem}.md"] = page.runbook_page(loaded, source)
    return pages


def task_pages(ops: Path) -> dict[str, str]:
    """The catalogue's page, by path below ``ops``; with the folder's own tasks."""
    return {TASKS: task_page(Catalogue([ops / "tasks"]))}


def differing(ops: Path, pages: Mapping[str, str]) -> list[str]:
    """Pages that are missing, say something else, or belong to no runbook any more, sorted."""
    found = {name for name, text in pages.items() if _read(ops / name) != text}
    if f"{_FOLDER}/README.md" in pages:
        for path in (ops / _FOLDER).glob("*.md"):
            name = path.relative_to(ops).as_posix()
            if name not in pages and _read(path).startswith(page.MADE):
                found.add(name)
    return sorted(found)


def write(ops: Path, pages: Mapping[str, str]) -> list[str]:
    """Make the pages say what they should; gives the paths that were written or removed."""
    changed = differing(ops, pages)
    for name in changed:
        path = ops / name
        if name in pages:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages[name], encoding="utf-8")
        else:
            path.unlink()
    return changed


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
