"""A git repository on the host at one commit, and back at the commit before.

Nothing secret stands in a URL: argument lists and ``.git/config`` are read by others.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from invoke.tasks import task

from orchestrator.tasks import command
from orchestrator.tasks.outcome import Inverse, Outcome
from orchestrator.tasks.placing import absolute
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from pathlib import PurePath

    from invoke.context import Context

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_STATE = (
    'if test ! -e "$1" && test ! -L "$1"; then echo nothing; exit; fi; '
    'if test -d "$1" && test -z "$(ls -A -- "$1")"; then echo empty; exit; fi; '
    'test -e "$1/.git" || { echo other; exit; }; echo git; '
    'git -C "$1" rev-parse -q --verify HEAD || echo; '
    'git -C "$1" symbolic-ref -q --short HEAD || echo; '
    'git -C "$1" status --porcelain | head -n 1 | grep . || echo; '
    'git -C "$1" config --get remote.origin.url || :'
)


@dataclass(frozen=True)
class Checkout:
    """What is at the place of a checkout.

    Args:
        kind: ``nothing``, ``empty``, ``other`` or ``git``.
        commit: that is checked out.
        branch: that HEAD is on; empty when it is on none.
        repository: where it comes from.
        dirty: whether files differ from the commit.
    """

    kind: str
    commit: str = ""
    branch: str = ""
    repository: str = ""
    dirty: bool = False


@task
def checkout(c: Context, repository: str, dest: str, ref: str = "HEAD", token: str = "") -> Outcome:
    """Have a repository on the host at one commit, without a branch; outputs commit and before.

    Args:
        c: the task's Context or Connection.
        repository: a URL or an absolute path on the host, without password or token in it.
        dest: an absolute path; missing, empty, or a checkout without changes of one's own.
        ref: a branch, a tag or a whole commit.
        token: for a repository behind HTTPS; a secret, which reaches git by its environment.

    Raises:
        StepFailed: the ref is not there, or ``dest`` has changes or files of someone else.
    """
    read_repository(repository), read_ref(ref)
    folder, found = absolute(dest), _state(c, dest)
    _refuse(c, dest, found)
    env = _environment(c, repository, token)
    commit = _resolve(c, repository, ref, env)
    outputs = {"commit": commit, "before": found.commit}
    if (found.commit, found.repository) == (commit, repository):
        return Outcome(message="unchanged", outputs=outputs)
    diff = f"- {dest} at {found.commit[:12]}\n" * bool(found.commit)
    diff += f"+ {dest} at {commit[:12]}\n"
    if scope(c).check:
        told = f"would be at {commit[:12]}"
        return Outcome(changed=True, message=told, diff=diff, outputs=outputs)
    try:
        command.run(c, ["git", "init", "-q", "--", folder], env=env)
        _set_origin(c, folder, found.repository, repository)
        for argv in fetch_argvs(folder, ref, commit):
            if command.run(c, argv, env=env, check=False):
                break
        else:
            command.run(c, fetch_argvs(folder, ref, commit)[-1], env=env)
        command.run(c, switch_argv(folder, commit), env=env)
    except StepFailed:
        _undo_half(c, dest, found)
        raise
    told = f"at {commit[:12]}"
    return Outcome(
        changed=True,
        message=told,
        diff=diff,
        outputs=outputs,
        undo=(_inverse(dest, commit, found),),
    )


@task
def put_back(
    c: Context,
    dest: str,
    commit: str,
    before: str = "",
    branch: str = "",
    repository: str = "",
    folder: bool = False,
) -> Outcome:
    """Take a checkout back to the commit before, or away when there was none.

    Args:
        c: the task's Context or Connection.
        dest: the checkout.
        commit: that it is at; it is left when it is at another one, or has changes.
        before: the commit to go back to; empty: the checkout was new.
        branch: that HEAD was on.
        repository: where it came from.
        folder: there was an empty folder.

    Raises:
        StepFailed: it is at another commit by now, or has changes.
    """
    found = _state(c, dest)
    if found.kind != "git" or found.commit != commit or found.dirty:
        raise StepFailed(
            f"{dest} is not as the checkout left it", where=scope(c).host.name, hint="it is left"
        )
    diff = f"- {dest} at {commit[:12]}\n" + f"+ {dest} at {before[:12]}\n" * bool(before)
    if scope(c).check:
        return Outcome(changed=True, message="would be put back", diff=diff)
    if before:
        _back(c, absolute(dest), Checkout("git", before, branch, repository), found.repository)
    else:
        _take_away(c, dest, keep_folder=folder)
    return Outcome(changed=True, message="put back", diff=diff)


def read_repository(repository: str) -> str:
    """A repository's address, if it has nothing secret in it.

    Raises:
        InvalidInput: it has a password, or git would take it for an option or a program.
    """
    if not repository or repository.startswith("-") or "::" in repository.split("/", 1)[0]:
        raise InvalidInput("this is not the address of a repository")
    try:
        parts = urlsplit(repository)
        secret = parts.password is not None or (parts.scheme.startswith("http") and parts.username)
    except ValueError:
        raise InvalidInput("this is not the address of a repository") from None
    if secret:
        raise InvalidInput(
            "the repository's URL has a user or password in it, which others could read",
            hint="give the token as token, from a secret parameter",
        )
    return repository


def read_ref(ref: str) -> str:
    """A ref, if it is one name.

    Raises:
        InvalidInput: it is none.
    """
    if not ref or ref.startswith("-") or re.search(r"[\s:^~?*\[\\]|\.\.|@\{", ref):
        raise InvalidInput(f"{ref!r} is not a ref", hint="write a branch, a tag or a whole commit")
    return ref


def token_environment(repository: str, token: str) -> dict[str, str]:
    """What makes git send a token to this repository's server, and to no other.

    Raises:
        InvalidInput: it is not reached by HTTPS.
    """
    parts = urlsplit(repository)
    if parts.scheme != "https":
        raise InvalidInput("a token is only sent by HTTPS", hint="write the repository as https://")
    value = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.https://{parts.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {value}",
    }


def resolve_argv(repository: str, ref: str) -> list[str]:
    """Ask a repository which commit a ref is; of an annotated tag also what it points to."""
    return ["git", "ls-remote", "--", repository, ref, f"{ref}^{{}}"]


def commit_in(text: str, ref: str) -> str:
    """The commit of a ref in what ``git ls-remote`` answers; empty: it is not there.

    A tag goes before a branch of that name, as git itself has it.
    """
    found = {
        name: commit for commit, _, name in (line.partition("\t") for line in text.split("\n"))
    }
    for name in (ref, f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}"):
        if name in found:
            return found.get(f"{name}^{{}}", found[name])
    return ""


def fetch_argvs(folder: PurePath, ref: str, commit: str) -> list[list[str]]:
    """Ways to get a commit, the cheapest first: not every server gives out single commits."""
    start = ["git", "-C", str(folder), "fetch", "-q", "--no-tags"]
    whole = [*start, "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"]
    named = [] if _COMMIT.fullmatch(ref) else [[*start, "--depth", "1", "origin", ref]]
    return [[*start, "--depth", "1", "origin", commit], *named, whole]


def switch_argv(folder: PurePath, commit: str, branch: str = "") -> list[str]:
    """Check out a branch, or a commit without one."""
    where = [branch, "--"] if branch else ["--detach", commit, "--"]
    return ["git", "-C", str(folder), "-c", "advice.detachedHead=false", "checkout", "-q", *where]


def read_state(text: str) -> Checkout:
    """What the host's answer means."""
    # The address comes last: a path may have line ends in it.
    kind, commit, branch, dirty, repository = [*text.split("\n", 4), "", "", "", ""][:5]
    return Checkout(kind, commit, branch, repository.removesuffix("\n"), bool(dirty))


def _state(c: Context, dest: str) -> Checkout:
    answer = command.run(c, ["sh", "-c", _STATE, "sh", absolute(dest)])
    return read_state(answer.stdout)


def _refuse(c: Context, dest: str, found: Checkout) -> None:
    where = scope(c).host.name
    if found.kind == "other":
        raise StepFailed(
            f"{dest} is there and is not a checkout",
            where=where,
            hint="choose a path where nothing is",
        )
    if found.dirty:
        raise StepFailed(
            f"{dest} has changes that are not committed",
            where=where,
            hint=f"see them with: git -C {dest} status",
        )


def _environment(c: Context, repository: str, token: str) -> dict[str, str]:
    # Nobody is there to answer: a question for a password is a failure.
    env = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    if not token:
        return env
    more = token_environment(repository, token)
    scope(c).secrets.add(token)
    scope(c).secrets.add(more["GIT_CONFIG_VALUE_0"].rpartition(" ")[2])
    return env | more


def _resolve(c: Context, repository: str, ref: str, env: dict[str, str]) -> str:
    if _COMMIT.fullmatch(ref):
        return ref
    commit = commit_in(command.run(c, resolve_argv(repository, ref), env=env).stdout, ref)
    if not commit:
        raise StepFailed(
            f"{repository} has no branch or tag {ref!r}",
            where=scope(c).host.name,
            hint="write the whole 40 digits of a commit",
        )
    return commit


def _set_origin(c: Context, folder: PurePath, old: str, new: str) -> None:
    if old != new:
        verb = "set-url" if old else "add"
        command.run(c, ["git", "-C", folder, "remote", verb, "--", "origin", new])


def _inverse(dest: str, commit: str, found: Checkout) -> Inverse:
    arguments: dict[str, object] = {"dest": dest, "commit": commit}
    if found.commit:
        arguments |= {"before": found.commit, "branch": found.branch}
        arguments["repository"] = found.repository
    elif found.kind == "empty":
        arguments["folder"] = True
    return Inverse("git.put_back", arguments)


def _back(c: Context, folder: PurePath, to: Checkout, origin: str) -> None:
    command.run(c, switch_argv(folder, to.commit, to.branch))
    if to.repository:
        _set_origin(c, folder, origin, to.repository)


def _take_away(c: Context, dest: str, *, keep_folder: bool) -> None:
    command.run(c, ["rm", "-rf", "--", absolute(dest)])
    if keep_folder:
        command.run(c, ["mkdir", "--", absolute(dest)])


def _undo_half(c: Context, dest: str, found: Checkout) -> None:
    """After a failure: what was made goes, and an older checkout has its origin back."""
    if found.kind != "git":
        _take_away(c, dest, keep_folder=found.kind == "empty")
    elif found.repository:
        command.run(
            c,
            ["git", "-C", dest, "remote", "set-url", "--", "origin", found.repository],
            check=False,
        )
