"""Environments: which inventory and variables a name stands for, and whether a run may go on there.

Knows the rules, and how a person at the terminal is asked; not what the run does.
"""

from __future__ import annotations

import difflib
import os
import stat
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from schemas.errors import Frozen, InvalidInput, NotAuthorised, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.engine.inventory import Hosts
    from schemas.settings import Settings

FOLDER = "environments"
TOKEN = "MAHAVISHNU_AUTOMATION_TOKEN"  # noqa: S105 -- the variable's name
SCOPE = "operate"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONGEST = 1000  # freezes, one after the other


def environment_files(ops: Path) -> list[Path]:
    """The inventories of the environments that a folder has."""
    return sorted((ops / FOLDER).glob("*.yaml"))


def chosen_inventory(
    inventory: str | Path | None, environment: str, ops: Path
) -> str | Path | None:
    """The inventory that was chosen, by its file or by its environment; None: none was.

    Raises:
        NotFound: there is no such environment.
    """
    if inventory or not environment:
        return inventory
    known = [path.stem for path in environment_files(ops)]
    if environment not in known:
        near = difflib.get_close_matches(environment, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
        message = f"there is no environment {environment!r}"
        raise NotFound(message, where=str(ops / FOLDER), hint=hint)
    return ops / FOLDER / f"{environment}.yaml"


def name_of(hosts: Hosts, asked_for: str) -> str:
    """The name of the environment that an inventory is of; empty: of none.

    Raises:
        InvalidInput: the file says another name than was asked for.
    """
    own = hosts.inventory.environment
    if own and asked_for and own.name != asked_for:
        raise InvalidInput(
            f"this is the environment {own.name!r}, not {asked_for!r}",
            where=hosts.document.where("environment", "name"),
        )
    return asked_for or (own.name if own else "")


def variables(
    inventory: Path, environment: str, environ: Mapping[str, str] = os.environ
) -> Mapping[str, str]:
    """The variables that parameters come from: those of ``NAME.env`` beside the inventory first.

    The file is the narrower word: a variable left over in a shell must not reach another
    environment's hosts.

    Raises:
        InvalidInput: others may read the file, or a line of it is no ``KEY=value``.
    """
    from schemas.settings import read_env_file

    path = inventory.with_suffix(".env") if environment else None
    if path is None or not path.exists():
        return environ
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        message = f"others may read these variables (mode {mode:04o})"
        raise InvalidInput(message, where=str(path), hint=f"chmod 600 {path}")
    try:
        return {**environ, **read_env_file(path)}
    except InvalidInput as error:
        # The error quotes the line, and the line is most likely a secret.
        where = error.where or str(path)
        raise InvalidInput("not KEY=value lines", where=where) from None


def frozen_by(environment: Any, now: datetime) -> tuple[str, datetime] | None:
    """Why nothing may be changed now, and until when; None: it may.

    Args:
        environment: the inventory's ``environment``.
        now: a time with a zone.

    Returns:
        The reason, and the first moment at which no freeze holds, in the environment's zone.
    """
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(environment.zone)
    at, reason = now.astimezone(zone), ""
    for _ in range(_LONGEST):
        holding = [each for each in environment.freeze if _holds(each, at)]
        if not holding:
            break
        reason = reason or holding[0].reason
        at = _end_of(holding[0], at)
    return (reason, at) if reason else None


def _holds(freeze: Any, at: datetime) -> bool:
    if freeze.days and _DAYS[at.weekday()] not in freeze.days:
        return False
    return not freeze.begin or _first(freeze.begin, at) <= at < _after(freeze.end, at)


def _end_of(freeze: Any, at: datetime) -> datetime:
    """A moment up to which a freeze that holds goes on."""
    ends = [_after(freeze.end, at)] if freeze.end else []
    if freeze.days:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        ends.append(midnight + timedelta(days=1))
    return min(ends)


def _first(text: str, at: datetime) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(at.tzinfo) if moment.tzinfo else moment.replace(tzinfo=at.tzinfo)


def _after(text: str, at: datetime) -> datetime:
    # A day counts to its end, a time is the end.
    days = 0 if "T" in text or " " in text else 1
    return _first(text, at) + timedelta(days=days)


def typed_at_terminal(question: str) -> str | None:
    """What a person answers at the terminal; None: nobody is there."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Consent:
    """How a run that may change something gets leave to do so.

    Args:
        yes: ``--yes`` was given, which counts together with a token of the automation.
        override: why a freeze does not hold for this run; None: it does.
        typed: puts a question to a person.
        now: the time, with a zone.
    """

    yes: bool = False
    override: str | None = None
    typed: Callable[[str], str | None] = typed_at_terminal
    now: Callable[[], datetime] = _now

    def obtain(self, environment: Any, settings: Settings) -> str:
        """Go on only if the environment lets this run go on.

        Args:
            environment: the inventory's ``environment``, or None.
            settings: they name the keys that tokens are checked with.

        Returns:
            Why a freeze that holds now was overridden; empty: none holds.

        Raises:
            Frozen: a freeze holds.
            InvalidInput: nobody confirmed it.
            NotAuthorised: the token does not allow it.
        """
        if self.override is not None and not self.override.strip():
            raise InvalidInput("--override-freeze needs a reason, for the run's record")
        # Steps get this process's variables; none of them needs what starts runs in production.
        token = os.environ.pop(TOKEN, "")
        if environment is None:
            return ""
        override = self._through_freeze(environment)
        if environment.confirm:
            self._confirmed(environment.name, settings, token)
        return override

    def _through_freeze(self, environment: Any) -> str:
        frozen = frozen_by(environment, self.now())
        if frozen is None:
            return ""
        reason, until = frozen
        if self.override is None:
            raise Frozen(
                f"nothing is changed in {environment.name} until {until:%Y-%m-%d %H:%M %Z}:"
                f" {reason}",
                hint="--override-freeze REASON goes on all the same, and is recorded",
            )
        return self.override.strip()

    def _confirmed(self, name: str, settings: Settings, token: str) -> None:
        if self.yes and token:
            _check_token(token, settings)
            return
        answer = self.typed(f"This may change {name}. Type its name to go on: ")
        if answer is None:
            raise InvalidInput(
                f"{name} asks for its name, and there is no terminal to type it at",
                hint=f"automation gives --yes, and a token with the scope {SCOPE} in {TOKEN}",
            )
        if answer != name:
            raise InvalidInput(f"that is not {name!r}; nothing was run")


def _check_token(token: str, settings: Settings) -> None:
    from schemas.keyring import load_keys
    from tracker.web.auth import verify

    try:
        claims = verify(load_keys(settings, "mahavishnu"), "mahavishnu", token)
    except InvalidInput as error:
        message = f"{TOKEN} cannot be checked: {error.message}"
        raise NotAuthorised(message, where=error.where, hint=error.hint) from None
    except NotAuthorised as error:
        raise NotAuthorised(f"{TOKEN}: {error.message}", hint=error.hint) from None
    if SCOPE not in claims.scopes:
        raise NotAuthorised(
            f"the token in {TOKEN} does not have the scope {SCOPE}",
            hint=f"make one with: mahavishnu generate-token --scope {SCOPE}",
        )
