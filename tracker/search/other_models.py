"""Brings models that are not in the catalogue: whatever sentence-transformers can load.

Nobody has noted the hashes of their files, so that they load and embed is all that is proved.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput, SessionopsError
from tracker.search.catalogue import INSTALL, chosen_folder, model_name
from tracker.search.installed import Fetched, Installed
from tracker.search.sentences import SentenceModel, is_installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.settings import Settings

_STAGING = ".fetch-"


def fetch_other(settings: Settings, source: str, report: Callable[[str], None]) -> Fetched:
    """See to it that the model is there and embeds.

    Args:
        settings: name the model.
        source: ``auto`` or ``hub``, or a folder that the library has written.
        report: takes a line for a person when something long begins.

    Raises:
        InvalidInput: the library is not installed, or the source is not known.
    """
    name, folder = model_name(settings), chosen_folder(settings)
    if not is_installed():
        raise InvalidInput(f"embedding model {name!r} is not known", hint=INSTALL)
    if folder.is_dir():
        return Fetched("present", folder, f"{name} is there", loading_problems(folder))
    origin = Path(source).expanduser()
    if source not in {"auto", "hub"} and not origin.is_dir():
        raise InvalidInput(f"{source!r} is neither a folder nor one of auto, hub")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_STAGING, dir=folder.parent) as staging:
        brought = Path(staging) / folder.name
        if origin.is_dir():
            shutil.copytree(origin, brought)
        else:
            report(f"downloading {name} from the hub")
            try:
                _download(name, brought, Path(staging) / "cache")
            except Exception as error:  # noqa: BLE001 -- the library and those below share no error
                return Fetched("unavailable", None, f"the hub: {str(error).splitlines()[0]}")
        problems = loading_problems(brought)
        if problems:
            return Fetched("unavailable", None, problems[0])
        brought.rename(folder)
    return Fetched("fetched", folder, f"{name} fetched, embeds")


def loading_problems(folder: Path) -> tuple[str, ...]:
    """Why the model in a folder does not embed; nothing when it does."""
    try:
        SentenceModel.load(folder).embed(["a sentence"])
    except (SessionopsError, RuntimeError, ValueError) as error:
        return (str(error).splitlines()[0],)
    return ()


def installed_other(settings: Settings) -> Installed:
    """The model that the settings name, for a list."""
    folder = chosen_folder(settings)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Installed(
        name=model_name(settings),
        state="installed" if files else "not installed",
        chosen=True,
        path=folder,
        size=sum(path.stat().st_size for path in files),
        dimensions=0,
        licence="",
    )


def _download(name: str, into: Path, cache: Path) -> None:
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(name, device="cpu", cache_folder=str(cache)).save(str(into))
