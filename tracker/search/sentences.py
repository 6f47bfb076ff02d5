"""Any model of sentence-transformers, with that library itself (extra ``semantic``).

For models that the built-in backend does not compute. Importing the library takes seconds and
300 MB, so it is imported when a model is loaded and not before.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput
from tracker.search.catalogue import INSTALL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

PACKAGE = "sentence_transformers"


def is_installed() -> bool:
    """Whether the library is there; does not import it."""
    return importlib.util.find_spec(PACKAGE) is not None


class SentenceModel:
    """A model of sentence-transformers. Use ``load``. May be used by several threads at once.

    Args:
        model: name of the model.
        encoder: the library's object.
    """

    def __init__(self, model: str, encoder: Any) -> None:
        self.model = model
        self._encoder = encoder

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> SentenceModel:
        """Load the model in ``folder``.

        Args:
            folder: a folder as the library writes it.
            threads: how many threads a call may use.

        Raises:
            InvalidInput: the library is not installed, or cannot load what is in the folder.
        """
        if not is_installed():
            raise InvalidInput(f"{PACKAGE} is not installed", where=str(folder), hint=INSTALL)
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        try:
            encoder = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        except Exception as error:
            # The library and those below it have no common error.
            raise InvalidInput(f"the model cannot be loaded: {error}", where=str(folder)) from error
        return cls(folder.name, encoder)

    @property
    def dimensions(self) -> int:
        """Components of a vector."""
        # Its name since release 6; the extra allows 3.
        known = getattr(self._encoder, "get_embedding_dimension", None)
        return int((known or self._encoder.get_sentence_embedding_dimension)())

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row of unit length a text, so that a dot product is the cosine similarity."""
        import numpy as np

        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        readable = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        vectors = self._encoder.encode(
            readable, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32)
