"""Proves that a model is whole and embeds, and remembers it for the health probe.

A proof hashes every file, loads the backend, embeds a sentence and compares it with the reference
implementation's numbers: half a second and 80 MB. It holds until a file or a library changes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from tracker.search.catalogue import CATALOGUE
from tracker.search.verification import faults, signature

if TYPE_CHECKING:
    from tracker.search.catalogue import Model

_TOLERANCE = 1e-4  # in a component; another BLAS differs by less than 1e-6
_KEPT = 8  # proofs kept in the file: of as many releases


@dataclass(frozen=True, slots=True)
class Proof:
    """The outcome of a proof, and of which files.

    Args:
        signature: of the files that were proved.
        problems: what is wrong, a line each; none: the model is whole and embeds.
    """

    signature: str
    problems: tuple[str, ...]


def prove(folder: Path, model: Model) -> Proof:
    """Prove the model in ``folder`` here and now, in this process, and remember the outcome."""
    before = signature(folder, model)
    proof = Proof(before, faults(folder, model) or _embedding_problems(folder, model))
    if before:
        # Where the folder is read-only, proofs are repeated; nothing else is lost.
        with contextlib.suppress(OSError):
            _remember(folder, proof)
    return proof


def proved(folder: Path, model: Model) -> Proof:
    """The last proof of these files if it was a good one, else a new one."""
    proof = remembered(folder, signature(folder, model))
    return prove(folder, model) if proof is None or proof.problems else proof


def remembered(folder: Path, current: str) -> Proof | None:
    """The last proof, if it was of files with the signature ``current`` and of these libraries."""
    proof = _read(folder).get(_runtime())
    return proof if proof is not None and proof.signature == current else None


def _embedding_problems(folder: Path, model: Model) -> tuple[str, ...]:
    try:
        from tracker.search.embedding import load_embedder

        vector = load_embedder(folder).embed([model.reference.text])[0]
    except (ImportError, SessionopsError, OSError) as error:
        return (f"the backend cannot load it: {error}",)
    expected = model.reference.first
    worst = max(abs(float(a) - b) for a, b in zip(vector, expected, strict=False))
    if len(vector) == model.dimensions and worst < _TOLERANCE:
        return ()
    return (f"the backend computes other numbers than the reference (off by {worst:.1g})",)


@functools.cache
def _runtime() -> str:
    """The libraries that a proof depends on. Each release has its own, so it makes its own."""

    def known(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "missing"

    libraries = [f"{name} {known(name)}" for name in ("sessionops", "numpy", "tokenizers")]
    return ", ".join([sys.prefix, *libraries])


def _file(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.proofs.json"


def _read(folder: Path) -> dict[str, Proof]:
    """The proofs by runtime. A file that is absent or not ours proves nothing."""
    try:
        entries = json.loads(_file(folder).read_bytes())
        return {
            runtime: Proof(str(entry["signature"]), tuple(map(str, entry["problems"])))
            for runtime, entry in entries.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remember(folder: Path, proof: Proof) -> None:
    others = {
        runtime: old
        for runtime, old in _read(folder).items()
        if old.signature == proof.signature and runtime != _runtime()
    }
    newest = [*others.items(), (_runtime(), proof)][-_KEPT:]
    content = json.dumps({runtime: asdict(kept) for runtime, kept in newest}, indent=1)
    draft = _file(folder).with_suffix(f".{os.getpid()}")
    draft.write_text(content, encoding="utf-8")
    draft.replace(_file(folder))


if __name__ == "__main__":
    print(json.dumps(asdict(prove(Path(sys.argv[1]), CATALOGUE[sys.argv[2]]))))
