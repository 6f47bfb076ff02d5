"""What a release is made from, on the control machine: this checkout, a git ref, or a wheel.

Finds the source and its hash; makes the wheel. Knows nothing of hosts and of releases that exist.
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.tasks import command, uv
from schemas.errors import InvalidInput, NotFound
from schemas.places import is_checkout, ops_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from invoke.context import Context

LOCK = "requirements.lock"
WHEEL_FOLDER = "wheel"
"""The folder of a release that keeps the wheel it was made from."""

_PROJECT = "sessionops"
_DESCRIBING = ("pyproject.toml", "README.md", "LICENSE")
_NEVER = {"__pycache__", ".DS_Store"}
_BUILD_TIMEOUT = 300.0


@dataclass(frozen=True)
class Source:
    """What a release is made from.

    Args:
        title: for a person: ``this checkout``, ``git v0.2``, ``wheel x.whl``.
        version: of the project.
        files: name and content of each file that goes into the wheel.
        lock: the hashed requirements.
        wheel: the wheel, when the source is one.
        commit: the git commit, with ``-dirty`` when files differ from it; empty when there is none.
    """

    title: str
    version: str
    files: Mapping[str, bytes]
    lock: bytes
    wheel: Path | None = None
    commit: str = ""

    def release_id(self, python: str) -> str:
        """The id of the release that this makes with a version of Python.

        The same content gives the same id, so a checkout without changes is recognised unbuilt.
        """
        digest = hashlib.sha256()
        for name, content in [*sorted(self.files.items()), ("", self.lock), ("", python.encode())]:
            for part in (name.encode(), content):
                digest.update(len(part).to_bytes(8, "big") + part)
        return f"{self.version}-{digest.hexdigest()[:10]}"


def find_source(control: Context, version: str, scratch: Path) -> Source:
    """What ``--version`` means.

    Args:
        control: a Context of the control machine.
        version: empty for this checkout, a path of a wheel, or a git ref of this checkout.
        scratch: an empty folder for what has to be unpacked.

    Raises:
        NotFound: no such wheel or ref.
        InvalidInput: what was found is not this project, or has no lock.
    """
    if not version:
        return _this(control)
    if version.endswith(".whl"):
        return from_wheel(Path(version).expanduser().absolute())
    return _from_git(control, version, scratch)


def _this(control: Context) -> Source:
    if is_checkout():
        folder = ops_folder()
        return from_folder(folder, "this checkout", _commit(control, folder))
    kept = sorted((Path(sys.prefix) / WHEEL_FOLDER).glob("*.whl"))
    if not kept:
        raise NotFound(
            "this is neither a checkout nor a release that keeps its wheel",
            where=sys.prefix,
            hint="name a wheel: --version path/to/sessionops-....whl",
        )
    return from_wheel(kept[-1])


def from_folder(folder: Path, title: str, commit: str = "") -> Source:
    """A folder with the project's files in it.

    Raises:
        InvalidInput: it is not this project's, or has no lock.
    """
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        lock = (folder / LOCK).read_bytes()
    except FileNotFoundError as error:
        raise InvalidInput(
            f"{Path(error.filename).name} is missing, so no release can be made", where=str(folder)
        ) from None
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in _carried(folder, _entries(project))
    }
    return Source(title, project["project"]["version"], files, lock, commit=commit)


def _entries(project: Mapping[str, object]) -> list[str]:
    """The files and folders that pyproject.toml puts into the wheel, and those that describe it."""
    table: object = project
    for key in ("tool", "hatch", "build", "targets", "wheel"):
        table = table[key] if isinstance(table, dict) else {}
    wheel = table if isinstance(table, dict) else {}
    return [*_DESCRIBING, *wheel.get("packages", ()), *wheel.get("shared-data", ())]


def _carried(folder: Path, entries: Iterable[str]) -> Iterator[Path]:
    for entry in entries:
        start = folder / entry
        for path in [start, *start.rglob("*")]:
            inside = path.relative_to(folder).parts
            if path.is_file() and not _NEVER & set(inside) and path.suffix != ".pyc":
                yield path


def _commit(control: Context, folder: Path) -> str:
    head = command.run(control, ["git", "-C", str(folder), "rev-parse", "HEAD"], check=False)
    if not head:
        return ""
    status = ["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"]
    changes = command.run(control, status, check=False).stdout.strip()
    return head.stdout.strip() + ("-dirty" if changes else "")


def _from_git(control: Context, ref: str, scratch: Path) -> Source:
    folder = ops_folder()
    verify = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "--end-of-options"]
    found = command.run(control, [*verify, f"{ref}^{{commit}}"], check=False)
    if not is_checkout() or not found:
        raise NotFound(
            f"{ref!r} is neither a release here, nor a wheel, nor a git ref of this checkout",
            hint="list the releases: invoke release.list",
        )
    commit = found.stdout.strip()
    archive, unpacked = scratch / "source.zip", scratch / "source"
    command.run(control, ["git", "-C", folder, "archive", f"--output={archive}", commit])
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(unpacked)
    return from_folder(unpacked, f"git {ref}", commit)


def from_wheel(path: Path) -> Source:
    """A wheel of this project.

    Raises:
        NotFound: no such file.
        InvalidInput: not a wheel, another project's, or one without a lock.
    """
    if not path.is_file():
        raise NotFound("no such wheel", where=str(path))
    try:
        with zipfile.ZipFile(path) as wheel:
            files = {name: wheel.read(name) for name in wheel.namelist()}
    except (zipfile.BadZipFile, OSError) as error:
        raise InvalidInput(f"this is not a wheel: {error}", where=str(path)) from None
    metadata = HeaderParser().parsestr(_ending(files, ".dist-info/METADATA").decode())
    if metadata["Name"] != _PROJECT:
        raise InvalidInput(
            f"this is a wheel of {metadata['Name']}, not of {_PROJECT}", where=str(path)
        )
    lock = _ending(files, f"/ops/{LOCK}")
    if not lock:
        raise InvalidInput(f"this wheel carries no {LOCK}", where=str(path))
    content = {name: data for name, data in files.items() if not name.endswith("/RECORD")}
    return Source(f"wheel {path.name}", str(metadata["Version"]), content, lock, wheel=path)


def _ending(files: Mapping[str, bytes], ending: str) -> bytes:
    return next((content for name, content in files.items() if name.endswith(ending)), b"")


def build_wheel(control: Context, source: Source, scratch: Path) -> Path:
    """The wheel of a source, built from exactly the files that its hash is over.

    Raises:
        StepFailed: the build failed; with its last lines.
    """
    if source.wheel is not None:
        return source.wheel
    folder, out = scratch / "build", scratch / "dist"
    for name, content in source.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    argv = ["build", "--wheel", "--python", sys.executable, "--out-dir", str(out), str(folder)]
    uv.run(control, argv, timeout=_BUILD_TIMEOUT)
    return next(out.glob("*.whl"))
