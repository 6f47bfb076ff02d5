"""The key ring, made once and shown only as fingerprints; secrets put into files on the host."""

from __future__ import annotations

import json
import os
import shlex
import stat
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from orchestrator.tasks import command
from orchestrator.tasks.outcome import Inverse, Outcome, changes_nothing, records_no_undo
from orchestrator.tasks.placing import absolute, look, read_mode
from orchestrator.tasks.placing import place as place_file
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed
from schemas.keyring import SECRET_SETTINGS, check_secret, fingerprint, new_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from schemas.settings import Settings

GIVEN_KID = "env"
"""The id that ``schemas.keyring`` gives to a secret from the settings."""
_PRIVATE = 0o600


@task
def generate(c: Context) -> Outcome:
    """Make the key ring if there is none; add a key for each server that has none in it.

    A key that is there is never replaced: that is a rotation. A secret that the settings give, in
    an environment variable perhaps, is taken over, so that a server that is started at boot has the
    same one as this shell. Only fingerprints are shown.

    Raises:
        InvalidInput: the file is there and is not a key ring, or a given secret is too weak.
    """
    here = scope(c)
    path = here.places.keyring
    ring = read_keyring(c) or {"version": 1, "keys": {}}
    new = _new_keys(here.settings, ring["keys"])
    if not new:
        return Outcome(message="unchanged", outputs={"fingerprints": _fingerprints(ring)})
    if here.check:
        told = f"would make a key for {' and '.join(new)}"
        return Outcome(changed=True, message=told, diff=f"+ {path}\n")
    for audience, key in new.items():
        here.secrets.add(key["secret"])
        ring["keys"][audience] = [key, *_demoted(ring["keys"].get(audience, []), key["kid"])]
    _write(c, ring)
    prints = _fingerprints(ring)
    made = ", ".join(f"{audience} {prints[audience]}" for audience in new)
    named = [f"{audience}/{key['kid']}" for audience, key in new.items()]
    undo = Inverse("secret.remove_keys", {"keys": named})
    return Outcome(
        changed=True,
        message=f"made: {made} (fingerprints)",
        diff=f"+ {path} (mode 0600)\n",
        outputs={"fingerprints": prints},
        undo=(undo,),
    )


def _new_keys(settings: Settings, keys: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The keys that are missing, by audience."""
    new = {}
    for audience, setting in SECRET_SETTINGS.items():
        own, given = keys.get(audience, []), settings.text(setting)
        fresh = new_key(datetime.now(UTC))
        if given and given not in [key["secret"] for key in own if key["status"] == "current"]:
            algorithm = settings.text("mahavishnu.auth_algorithm")
            check_secret(given, algorithm, settings.source(setting))
            new[audience] = {**fresh, "kid": GIVEN_KID, "secret": given}
        elif not given and not own:
            new[audience] = fresh
    return new


def _demoted(keys: list[dict[str, str]], kid: str) -> list[dict[str, str]]:
    return [{**key, "status": "previous"} for key in keys if key["kid"] != kid]


@task(iterable=["keys"])
@records_no_undo
def remove_keys(c: Context, keys: Sequence[str]) -> Outcome:
    """Take keys out of the ring, and the ring away when none is left; no copy is kept of them.

    Args:
        c: the task's Context or Connection.
        keys: which ones, as ``audience/kid``.
    """
    ring = read_keyring(c)
    if ring is None or scope(c).check:
        return Outcome(message="unchanged")
    left = {
        audience: _with_current([key for key in own if f"{audience}/{key['kid']}" not in keys])
        for audience, own in ring["keys"].items()
    }
    ring["keys"] = {audience: own for audience, own in left.items() if own}
    if ring["keys"]:
        _write(c, ring)
    else:
        command.run(c, ["rm", "-f", "--", scope(c).places.keyring])
    return Outcome(changed=True, message=f"{len(keys)} keys removed")


def _with_current(keys: list[dict[str, str]]) -> list[dict[str, str]]:
    """With the first of them as the current one, when the one that was is gone."""
    if not keys or any(key["status"] == "current" for key in keys):
        return keys
    return [{**keys[0], "status": "current"}, *keys[1:]]


def _write(c: Context, ring: dict[str, Any]) -> None:
    content = (json.dumps(ring, indent=2) + "\n").encode()
    command.write_file(c, scope(c).places.keyring, content, _PRIVATE)


@task
def place(
    c: Context,
    dest: str,
    value: str = "",
    env: str = "",
    key: str = "",
    variable: str = "",
    mode: str = "0600",
) -> Outcome:
    """Put a secret into a file that others cannot read; neither it nor a former one is ever shown.

    It goes to the host through standard input. One of ``value``, ``env`` and ``key`` says which.

    Args:
        c: the task's Context or Connection.
        dest: an absolute path on the host.
        value: the secret, from a parameter that is declared ``secret: true``.
        env: a variable of this machine's environment that has it.
        key: a server whose current key of the host's key ring it is: ``mahavishnu``.
        variable: write it as ``VARIABLE='...'``, for ``EnvironmentFile=`` and ``process.start``.
        mode: permission bits; nothing for others.

    Raises:
        InvalidInput: none or more than one of the three, an empty one, a mode that lets others in.
        StepFailed: it cannot be written.
    """
    bits, path = read_mode(mode), absolute(dest)
    if bits & stat.S_IRWXO:
        raise InvalidInput(f"mode {mode} lets others read a secret", hint='write "0600" or "0640"')
    secret = _given(c, value=value, env=env, key=key)
    if variable and not variable.isidentifier():
        raise InvalidInput(f"{variable!r} is not the name of a variable", hint="write DB_PASSWORD")
    text = f"{variable}={shlex.quote(secret)}\n" if variable else secret
    scope(c).secrets.add(text)
    placed = place_file(c, path, text.encode(), bits)
    if not placed.changed:
        return placed
    return replace(placed, diff=f"  {path}: another content (not shown), mode {bits:04o}\n")


def _given(c: Context, *, value: str, env: str, key: str) -> str:
    sources = {"value": value, "env": env, "key": key}
    named = [name for name, given in sources.items() if given]
    if len(named) != 1:
        raise InvalidInput(
            "a secret has one source" if named else "there is no secret to place",
            hint="write one of value, env, key, and see that it is not empty",
        )
    secret = value
    if env:
        secret = os.environ.get(env, "")
        if not secret:
            raise InvalidInput(
                f"{env} is not set on this machine", hint=f"{env}=... invoke ..., or export it"
            )
    elif key:
        ring = read_keyring(c) or {"keys": {}}
        secret = str(_current(ring, key)["secret"]) if key in ring["keys"] else ""
        if not secret:
            raise InvalidInput(f"the key ring has no key for {key}", hint="invoke secret.generate")
    scope(c).secrets.add(secret)
    return secret


@task
@changes_nothing
def status(c: Context) -> Outcome:
    """Say which keys are in force, by fingerprint, and where each comes from."""
    here = scope(c)
    ring = read_keyring(c)
    prints = _fingerprints(ring) if ring else {}
    lines = []
    for audience, setting in SECRET_SETTINGS.items():
        if secret := here.settings.text(setting):
            prints[audience] = fingerprint(secret)
            lines.append(f"{audience} {prints[audience]} from {here.settings.source(setting)}")
        elif audience in prints:
            created = _current(ring, audience)["created"] if ring else ""
            lines.append(f"{audience} {prints[audience]} made {created}")
        else:
            lines.append(f"{audience}: no key yet")
    return Outcome(message="; ".join(lines), outputs={"fingerprints": prints})


def check_secrets(c: Context) -> str:
    """See that each key in force is long, no placeholder, and closed to other users.

    Returns:
        What was found, in a line.

    Raises:
        InvalidInput: one is not; with what to do.
    """
    here = scope(c)
    algorithm = here.settings.text("mahavishnu.auth_algorithm")
    for setting in SECRET_SETTINGS.values():
        if secret := here.settings.text(setting):
            here.secrets.add(secret)
            check_secret(secret, algorithm, here.settings.source(setting))
    path = here.places.keyring
    ring = read_keyring(c)
    if ring is None:
        return "no key ring yet: the deploy makes one"
    mode = look(c, path).mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidInput(
            f"others may read this key ring (mode {mode:04o})",
            where=str(path),
            hint=f"chmod 600 {path}, and think of the keys as known",
        )
    for audience in ring["keys"]:
        check_secret(_current(ring, audience)["secret"], algorithm, f"{path} {audience}")
    return "key ring closed to others, keys long enough"


def read_keyring(c: Context) -> dict[str, Any] | None:
    """The key ring, its secrets registered for masking; None when there is none.

    Raises:
        InvalidInput: the file is not a key ring; its content is not quoted.
    """
    here = scope(c)
    content = command.read_file(c, here.places.keyring)
    if content is None:
        return None
    try:
        ring: dict[str, Any] = json.loads(content)
        for keys in ring["keys"].values():
            for key in keys:
                here.secrets.add(key["secret"])
        whole = all(_currents(keys) == 1 for keys in ring["keys"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise InvalidInput(
            "this is not a key ring",
            where=str(here.places.keyring),
            hint="put it back from a backup, or move it away and: invoke secret.generate",
        )
    return ring


def _currents(keys: list[dict[str, str]]) -> int:
    return sum(key["status"] == "current" for key in keys)


def _current(ring: dict[str, Any], audience: str) -> dict[str, str]:
    keys: list[dict[str, str]] = ring["keys"].get(audience, [])
    for key in keys:
        if key["status"] == "current":
            return key
    raise StepFailed(f"the key ring has no current key for {audience}")


def _fingerprints(ring: dict[str, Any]) -> dict[str, str]:
    return {audience: fingerprint(_current(ring, audience)["secret"]) for audience in ring["keys"]}
