"""The health probe "Semantic search": cheap enough to be asked every second, and never guessing.

``enabled`` is only said of a model that was proved on this machine with these libraries (see
``proof``). A server neither hashes nor embeds for that: the probe compares file sizes, times and
inode numbers with those that were proved, which takes microseconds. ``session-buddy models fetch``
proves a model after bringing it; if nobody did, a process of its own does, in the background, and
the probe says ``checking`` for that half second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput
from schemas.health import Probe
from tracker.search.catalogue import CATALOGUE, ENABLED, chosen_folder, chosen_model, model_name
from tracker.search.proof import Proof, remembered
from tracker.search.sentences import is_installed
from tracker.search.verification import faults, signature

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.settings import Settings
    from tracker.search.catalogue import Model

NAME = "Semantic search"
FETCH = "get the model with: session-buddy models fetch"

_TIMEOUT = 120  # seconds for a proof, on a machine under heavy load
_RETRY = 60  # seconds after which a proof that failed for a passing reason is tried again


def model_probe(settings: Settings) -> Probe:
    """Whether search by meaning works, for ``/health``.

    Not having a model is allowed, since keyword search needs none: ``ok`` is then None, with the
    hint how to get it. It is False when there is a model that does not work.
    """
    if not settings.flag(ENABLED):
        hint = f"{ENABLED} is false ({settings.source(ENABLED)})"
        return Probe(NAME, ok=None, value="off", hint=hint)
    if model_name(settings) not in CATALOGUE and is_installed():
        there = chosen_folder(settings).is_dir()
        return Probe(NAME, ok=True, value="enabled") if there else _nothing()
    try:
        model = chosen_model(settings)
    except InvalidInput as error:
        return Probe(NAME, ok=False, value="not available", hint=f"{error.message}; {error.hint}")
    return _state(settings.places.models / model.name, model)


def _state(folder: Path, model: Model) -> Probe:
    if not folder.is_dir():
        return _nothing()
    current = signature(folder, model)
    if not current:
        return _broken("damaged", faults(folder, model))
    proof = remembered(folder, current) or _checks.last(folder, current)
    if proof is None:
        _checks.start(folder, model, current)
        return Probe(NAME, ok=None, value="checking", hint="the model is being checked; ask again")
    return (
        _broken("not working", proof.problems) if proof.problems else Probe(NAME, True, "enabled")
    )


def _nothing() -> Probe:
    return Probe(NAME, ok=None, value="not available", hint=FETCH)


def _broken(value: str, problems: tuple[str, ...]) -> Probe:
    return Probe(NAME, ok=False, value=value, hint="; ".join([*problems, FETCH]))


class _Checks:
    """Proofs made in processes of their own, at most one a folder at a time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._under_way: set[Path] = set()
        self._done: dict[Path, tuple[Proof, float]] = {}

    def last(self, folder: Path, current: str) -> Proof | None:
        """What a check found that could not leave its proof on disk."""
        proof, at = self._done.get(folder, (None, 0.0))
        if proof is None or proof.signature != current:
            return None
        passing = bool(proof.problems) and time.monotonic() - at > _RETRY
        return None if passing else proof

    def start(self, folder: Path, model: Model, current: str) -> None:
        """Begin a check, unless one is under way."""
        with self._guard:
            if folder in self._under_way:
                return
            self._under_way.add(folder)
        arguments = (folder, model, current)
        threading.Thread(
            target=self._check, args=arguments, name="model-check", daemon=True
        ).start()

    def _check(self, folder: Path, model: Model, current: str) -> None:
        try:
            self._done[folder] = (_proof_of_child(folder, model, current), time.monotonic())
        finally:
            with self._guard:
                self._under_way.discard(folder)


_checks = _Checks()


def _proof_of_child(folder: Path, model: Model, current: str) -> Proof:
    argv = [sys.executable, "-P", "-m", "tracker.search.proof", str(folder), model.name]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=True,
        )
        answer = json.loads(done.stdout)
        return Proof(answer["signature"], tuple(answer["problems"]))
    except subprocess.CalledProcessError as error:
        last = "".join(error.stderr.strip().splitlines()[-1:])
        return Proof(current, (f"its check ended with {error.returncode}: {last}",))
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        return Proof(current, (f"its check failed: {error}",))
