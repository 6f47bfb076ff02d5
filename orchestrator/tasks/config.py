"""Configuration files on the host: rendered from templates, or with one value of ours put in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from orchestrator.tasks import command, jsontext
from orchestrator.tasks.placing import absolute, look, place, read_mode
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from invoke.context import Context

    from orchestrator.tasks.outcome import Outcome


@task
def render(
    c: Context,
    template: str,
    dest: str,
    mode: str = "0644",
    owner: str = "",
    validate: str = "",
    backup: bool = False,
) -> Outcome:
    """Render a template to a file, which changes in one rename or not at all.

    Args:
        c: the task's Context or Connection.
        template: a file in ``templates/``, or an absolute path.
        dest: an absolute path on the host.
        mode: permission bits of the file.
        owner: ``user``, ``user:group`` or ``:group``; empty: whoever the commands run as.
        validate: a command with ``{file}`` in it that must accept the new file first, such as
            ``nginx -t -c {file}``.
        backup: leave the file that is replaced beside it, as ``<file>.<run>.bak``.

    Raises:
        NotFound: no such template.
        InvalidInput: the template has a fault or an undefined name.
        StepFailed: ``validate`` refuses the file, or it cannot be written.
    """
    text = rendered(c, template)
    return place(
        c,
        absolute(dest),
        text.encode(),
        read_mode(mode),
        validate=validate,
        owner=owner,
        backup=backup,
    )


def rendered(c: Context, template: str, **more: Any) -> str:
    """A template with the step's variables put in, and ``more`` of them."""
    from orchestrator.render import render_file

    here = scope(c)
    folder = Path(here.variables["paths"]["ops"]) / "templates"
    return render_file(folder / template, {**here.variables, **more})


@task
def merge_json(c: Context, dest: str, key: str, template: str, mode: str = "0600") -> Outcome:
    """Put one value into a JSON file and leave every other byte of it as it was.

    Args:
        c: the task's Context or Connection.
        dest: an absolute path on the host; made when it is not there.
        key: which value, as a JSON Pointer such as ``/mcpServers/session-buddy``.
        template: a file in ``templates/`` that renders to the value.
        mode: permission bits when the file is new; one that is there keeps its own.

    Raises:
        InvalidInput: the file is not JSON; it is left as it is.
    """
    path = absolute(dest)
    value = _value(rendered(c, template), template)
    before = look(c, path)
    old = command.read_file(c, path)
    try:
        text = jsontext.put((old or b"").decode(), key, value)
    except UnicodeDecodeError:
        raise InvalidInput("this is not JSON: not UTF-8", where=str(path)) from None
    except InvalidInput as error:
        raise InvalidInput(error.message, where=str(path), hint=error.hint) from None
    bits = before.mode if before.kind == "file" else read_mode(mode)
    return place(c, path, text.encode(), bits)


def _value(text: str, template: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"what it renders to is not JSON: {error.msg}", where=f"{template}:{error.lineno}"
        ) from None
