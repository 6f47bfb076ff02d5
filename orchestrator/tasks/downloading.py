"""A file from a web server to the host, with its digest checked before it takes its place."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.tasks import command, trees
from orchestrator.tasks.fetching import is_loopback
from orchestrator.tasks.outcome import Inverse, Outcome
from orchestrator.tasks.owners import read_owner
from orchestrator.tasks.placing import give, keep, look
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path, PurePath

    from invoke.context import Context

_NOT_FOUND = 127
_WRONG = 65
_CHECK_AND_PUT = (
    'found=$(sha256sum < "$1" | cut -c 1-64); test "$found" = "$3" || { echo "$found"; exit 65; }; '
    'chmod "$4" -- "$1" && mv -T -- "$1" "$2"'
)


def read_url(url: str) -> str:
    """A URL to download from, if nothing secret is in it.

    Raises:
        InvalidInput: another scheme, or a user or password in it.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInput("this is not a URL", hint="write it with http:// or https://")
    if parts.username or parts.password:
        raise InvalidInput("the URL has a user or password in it, which others could read")
    return url


def read_digest(text: str) -> str:
    """A SHA-256 in small letters.

    Raises:
        InvalidInput: it is none.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{64}", str(text)):
        raise InvalidInput(f"{text!r} is not a SHA-256", hint="64 hexadecimal digits")
    return str(text).lower()


def download_argvs(url: str, draft: str | PurePath, wait: float) -> list[list[str]]:
    """Ways to download, the better program first; a file that is there is written anew."""
    direct = is_loopback(url)
    curl = ["curl", "-fsSL", "--proto", "=http,https", "--max-time", f"{wait:g}"]
    curl += ["--noproxy", "*"] if direct else []
    wget = ["wget", "-q", "-T", f"{wait:g}", *(["--no-proxy"] if direct else [])]
    return [[*curl, "-o", str(draft), "--", url], [*wget, "-O", str(draft), "--", url]]


def download(
    c: Context, url: str, dest: Path, sha256: str, mode: int, owner: str, wait: float
) -> Outcome:
    """Have the file with this digest at a path; arguments as those of ``http.download``.

    Raises:
        StepFailed: the server does not give it, it is another file, or it cannot be written.
    """
    wanted, url, owner = read_digest(sha256), read_url(url), read_owner(owner) if owner else ""
    found = look(c, dest)
    if found.kind in {"folder", "other"}:
        raise StepFailed(f"{dest} is a {found.kind}, not a file", where=scope(c).host.name)
    facts = trees.facts_of(c, dest)
    if facts["sha256"] == wanted:
        return _rights(c, dest, mode, owner)
    diff = f"- {dest} ({facts['sha256'][:12]}, {facts['size']} bytes)\n" * bool(facts["exists"])
    diff += f"+ {dest} ({wanted[:12]})\n"
    if scope(c).check:
        return Outcome(changed=True, message="would be downloaded", diff=diff)
    draft = dest.with_name(f".{secrets.token_hex(4)}.{dest.name[:100]}.tmp")
    try:
        command.run(c, ["mkdir", "-p", "--", dest.parent])
        _get(c, download_argvs(url, draft, wait))
        undo = keep(c, dest, found)
        words = [str(draft), str(dest), wanted, f"{mode:04o}"]
        answer = command.run(c, ["sh", "-c", _CHECK_AND_PUT, "sh", *words], check=False)
    finally:
        command.run(c, ["rm", "-f", "--", draft], check=False)
    if answer.exit_code == _WRONG:
        raise StepFailed(
            f"what was downloaded is another file: its SHA-256 is {answer.stdout.strip()}",
            where=scope(c).host.name,
            hint=f"{dest} is as it was; see whether the URL or sha256 is wrong",
        )
    if not answer:
        raise StepFailed(f"cannot write {dest}: {answer.stderr.strip()}", where=scope(c).host.name)
    done = Outcome(changed=True, message="downloaded", diff=diff, undo=(undo,))
    if owner:
        give(c, dest, owner, done)
    return done


def _get(c: Context, ways: Sequence[Sequence[str]]) -> None:
    for argv in ways:
        # Closed to others until its mode is set.
        words = ["sh", "-c", 'umask 077; exec "$@"', "sh", *argv]
        answer = command.run(c, words, check=False)
        if answer:
            return
        if answer.exit_code != _NOT_FOUND:
            told = " | ".join(answer.stderr.strip().splitlines()[-2:])
            raise StepFailed(
                f"it could not be downloaded: {told or f'{argv[0]} ended with {answer.exit_code}'}",
                where=scope(c).host.name,
            )
    raise StepFailed(
        "neither curl nor wget is there to download with",
        where=scope(c).host.name,
        hint="install curl",
    )


def _rights(c: Context, dest: Path, mode: int, owner: str) -> Outcome:
    """Mode and owner of a file whose content is right."""
    found = look(c, dest)
    diff, undo = "", []
    if found.mode != mode:
        diff += f"mode of {dest}: {found.mode:04o} -> {mode:04o}\n"
        undo.append(Inverse("files.mode", {"path": str(dest), "mode": f"{found.mode:04o}"}))
    if not found.belongs_to(owner):
        diff += f"owner of {dest}: {found.names} -> {owner}\n"
        undo.append(Inverse("files.owner", {"path": str(dest), "owner": found.owner}))
    if not diff:
        return Outcome(message="unchanged")
    done = Outcome(changed=True, message="given other rights", diff=diff, undo=tuple(undo))
    if not scope(c).check:
        command.run(c, ["chmod", f"{mode:04o}", "--", dest])
        if owner:
            give(c, dest, owner, done)
    return done
