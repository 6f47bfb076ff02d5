"""What search asks of an embedding model: texts in, unit vectors out.

The one place that knows which backend serves which model; importing it loads none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tracker.search.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """A loaded embedding model. May be used by several threads at once."""

    @property
    def model(self) -> str:
        """Name of the model; vectors of different models cannot be compared."""

    @property
    def dimensions(self) -> int:
        """Components of a vector."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row of unit length a text, so that a dot product is the cosine similarity."""


def load_embedder(folder: Path, threads: int = 1) -> Embedder:
    """Load the model in ``folder`` with the backend for it.

    Args:
        folder: a model's folder, as ``models.installed_folder`` gives it.
        threads: how many threads a call with many texts may use.

    Raises:
        NotFound: a file of the model is missing.
        InvalidInput: the model is not of a kind that the backend knows, or the backend for it is
            not installed.
    """
    if folder.name in CATALOGUE:
        from tracker.search.minilm import MiniLM

        return MiniLM.load(folder, threads=threads)
    from tracker.search.sentences import SentenceModel

    return SentenceModel.load(folder, threads=threads)
