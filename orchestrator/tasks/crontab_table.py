"""The crontab of a user on the host, where a block of our own is put in or taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from orchestrator.tasks import command
from orchestrator.tasks.crontab import block_of, with_block, without_block
from orchestrator.tasks.outcome import Outcome
from orchestrator.tasks.placing import difference
from orchestrator.tasks.rights import need_root
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke.context import Context

    from orchestrator.tasks.outcome import Inverse

_NOT_FOUND = 127


def crontab_argv(action: Literal["show", "replace"], *, user: str = "") -> list[str]:
    """Show a crontab, or replace it by what comes through standard input.

    Args:
        action: which of the two.
        user: whose; empty: the login's own.
    """
    whose = ["-u", user] if user else []
    return ["crontab", *whose, "-l" if action == "show" else "-"]


def read(c: Context, user: str = "", hint: str = "") -> str | None:
    """A user's crontab; None when there is no cron.

    Args:
        c: the task's Context or Connection.
        user: whose; empty: the login's own.
        hint: what to do when cron does not let one have one.

    Raises:
        StepFailed: cron does not let this user have one.
    """
    argv = crontab_argv("show", user=other(c, user))
    answer = command.run(c, argv, env={"LC_ALL": "C"}, check=False)
    if answer.exit_code == _NOT_FOUND:
        return None
    if answer or "no crontab for" in answer.stderr.lower():
        return answer.stdout
    raise StepFailed(
        f"the crontab cannot be read: {answer.stderr.strip()}",
        where=scope(c).host.name,
        hint=hint or "see /etc/cron.allow and /etc/cron.deny",
    )


def set_block(
    c: Context,
    text: str,
    name: str,
    lines: list[str] | None,
    *,
    inverse: Callable[[list[str]], Inverse],
    user: str = "",
) -> Outcome:
    """Make the block of this name these lines, or take it out; every other byte stays.

    Args:
        c: the task's Context or Connection.
        text: the crontab as it is.
        name: the block's name.
        lines: what is to be in it; None: no block.
        inverse: what puts the former lines back; none: no block.
        user: whose crontab; empty: the login's own.

    Raises:
        StepFailed: cron does not take a line.
    """
    old = block_of(text, name)
    if old == lines:
        return Outcome(message="unchanged")
    new = without_block(text, name) if lines is None else with_block(text, name, lines)
    diff = difference("crontab", text.encode(), new.encode())
    if not scope(c).check:
        command.run(c, crontab_argv("replace", user=other(c, user)), input=new)
    told = "entry removed" if lines is None else "entry set"
    return Outcome(changed=True, message=told, diff=diff, undo=(inverse(old or []),))


def other(c: Context, user: str) -> str:
    """The user's name when it is not who this step's commands run as.

    Raises:
        StepFailed: not root, who alone may see another's crontab.
    """
    here = scope(c)
    if not user or (user == here.host.user and not here.sudo):
        return ""
    need_root(c, f"the crontab of {user}")
    return user
