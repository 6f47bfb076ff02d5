"""``invoke runbook.docs|new`` and ``invoke task.docs``: what people who write runbooks need.

Also says which folder a person operates from.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from orchestrator.door.answers import told
from schemas.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke.context import Context

OPS_HELP = (
    "folder with runbooks/, templates/, tasks/ and inventory.yaml; default: MAHAVISHNU_OPS, "
    "else the current folder if it has runbooks/, else this project's"
)
_DOCS_HELP = {
    "ops": OPS_HELP,
    "write": "write the pages below docs/",
    "check": "exit code 2 when a page does not say what it should",
}


def chosen_folder(given: str, *, look_around: bool = True) -> Path | None:
    """The folder that a person operates from; None: this project's.

    Args:
        given: what ``--ops`` says.
        look_around: also ask MAHAVISHNU_OPS and the current folder. Not for the commands of this
            project's own runbooks: cron starts those in any folder.

    Raises:
        NotFound: there is no such folder, or it has no ``runbooks/``.
    """
    named = given or (os.environ.get("MAHAVISHNU_OPS", "") if look_around else "")
    if named:
        folder = Path(named).expanduser()
        if not (folder / "runbooks").is_dir():
            raise NotFound(
                "this folder has no runbooks/",
                where=str(folder),
                hint="--ops or MAHAVISHNU_OPS names it; invoke runbook.new --dir makes one",
            )
        return folder.absolute()
    return Path.cwd() if look_around and Path("runbooks").is_dir() else None


@task(name="docs", positional=[], help=_DOCS_HELP)
@told
def runbook_docs(
    _context: Context, ops: str = "", write: bool = False, check: bool = False
) -> None:
    """Render every runbook as a page that a person can follow by hand.

    Without --write and --check the pages are printed.
    """
    from orchestrator import operations

    folder = chosen_folder(ops)
    _pages(folder, operations.runbook_pages(folder), write=write, check=check, by="runbook.docs")


@task(name="docs", positional=[], help=_DOCS_HELP)
@told
def task_docs(_context: Context, ops: str = "", write: bool = False, check: bool = False) -> None:
    """Render the catalogue of tasks: arguments, check mode, undo.

    Without --write and --check the page is printed.
    """
    from orchestrator import operations

    folder = chosen_folder(ops)
    _pages(folder, operations.task_pages(folder), write=write, check=check, by="task.docs")


@task(
    positional=["name"],
    help={
        "name": "small letters, digits and -",
        "dir": "folder to write it below, made when it is not there; default: as --ops elsewhere",
    },
)
@told
def new(_context: Context, name: str, dir: str = "") -> None:  # noqa: A002 -- the option's name
    """Write a commented start of a runbook, which runs as it is.

    Example: invoke runbook.new restart-web --dir ~/my-ops
    """
    from orchestrator import operations

    folder = Path(dir).expanduser().absolute() if dir else chosen_folder("")
    for path in operations.new_runbook(name, folder):
        print(f"wrote {path}")
    option = f" --ops {dir}" if dir else ""
    print(f"look: invoke runbook.run {name} --plan{option}")


def task_collection() -> Collection:
    """The tasks about tasks."""
    return Collection("task", task_docs)


def _pages(
    folder: Path | None, pages: Mapping[str, str], *, write: bool, check: bool, by: str
) -> None:
    from orchestrator.pages import folder as on_disk
    from schemas.places import ops_folder

    root = folder or ops_folder()
    if write:
        changed = on_disk.write(root, pages)
        print("\n".join(f"wrote {name}" for name in changed) or "nothing to write")
    elif check:
        differ = on_disk.differing(root, pages)
        if differ:
            raise InvalidInput(
                f"{', '.join(differ)}: not as the files say",
                where=str(root),
                hint=f"run invoke {by} --write",
            )
        print("every page is as it should be")
    else:
        print("\n".join(pages.values()), end="")
