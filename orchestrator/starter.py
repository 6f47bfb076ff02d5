"""The commented start of a runbook that ``invoke runbook.new`` writes. Runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

_RUNBOOK = """\
schema_version: 1
name: {name}
title: {title}
description: >-
  Say here what it does, and when somebody needs it.
allow: [operate]            # scope needed to start it over the API
alerts: []                  # names of the alerts that it answers

# Values that the caller may give: invoke runbook.run {name} --param text=hello
params:
  text: {{default: hello, help: "what the file says"}}

hosts: all                  # a host, a group or a pattern of inventory.yaml
lock: {name}{pad}# one run at a time
timeout: 10m

# What must be true before anything is changed. `invoke task.docs` names every task.
preconditions:
  - name: Room on the disk
    task: check.disk
    with: {{path: "{{{{ paths.home }}}}", free: 10MB}}

steps:
  # A task compares first, changes only what differs, and records how that is put back.
  - id: folder
    name: Make the folder
    task: files.folders
    with: {{paths: ["{{{{ paths.state }}}}/{name}"], mode: "0700"}}

  # A line for sh does not know what it changes: say when it is needed, and what takes it back.
  - id: note
    name: Write the text
    run: printf '%s\\n' "$TEXT" > "$FILE"
    env: {{TEXT: "{{{{ params.text }}}}", FILE: "{{{{ paths.state }}}}/{name}/text"}}
    verify: {{run: 'test -s "$FILE"', env: {{FILE: "{{{{ paths.state }}}}/{name}/text"}}}}
    undo: {{run: 'rm -f "$FILE"', env: {{FILE: "{{{{ paths.state }}}}/{name}/text"}}}}

# A step that fails puts back what this run changed, on each host. `never` leaves it.
on_failure: {{rollback: auto}}
"""
_INVENTORY = """\
schema_version: 1
hosts:
  this-machine: {connection: local}
  # web-1: {address: 192.0.2.10, user: deploy, key: ~/.ssh/id_ed25519}
groups:
  web: {hosts: [this-machine]}
"""
_COMMENT_COLUMN = 22


def write_start(name: str, ops: Path) -> list[Path]:
    """Write the runbook, and an inventory of this machine when the folder has none.

    Args:
        name: the runbook's name.
        ops: the folder; made when it is not there.

    Returns:
        The files that were written.

    Raises:
        InvalidInput: it cannot be a runbook's name, there is one already, or it cannot be written.
    """
    from schemas.runbook import NAME

    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot be a runbook's name",
            hint="write small letters, digits and -, starting with a letter",
        )
    path, inventory = ops / "runbooks" / f"{name}.yaml", ops / "inventory.yaml"
    pad = " " * max(1, _COMMENT_COLUMN - len(name))
    title = name.replace("-", " ").capitalize()
    text = _RUNBOOK.format(name=name, title=title, pad=pad)
    written = [path]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(path, text)
        if not inventory.exists():
            _write_new(inventory, _INVENTORY)
            written.append(inventory)
    except FileExistsError:
        raise InvalidInput(
            "there is one already", where=str(path), hint="take another name"
        ) from None
    except OSError as error:
        raise InvalidInput(f"cannot be written: {error.strerror}", where=str(path)) from None
    return written


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
