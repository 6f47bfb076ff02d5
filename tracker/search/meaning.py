"""Search by meaning, if it can be had: whether the model works, the model once it is wanted.

A server that nobody asks and that has nothing to embed never loads a model.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from tracker.search.catalogue import chosen_folder, model_name
from tracker.search.probe import NAME, model_probe
from tracker.search.vectors import Vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from schemas.health import Probe
    from schemas.settings import Settings
    from tracker.search.embedding import Embedder
    from tracker.store.database import Database

_CHECK_SECONDS = 5.0
"""How long somebody who asks by meaning waits for a model that is being checked."""


class SemanticUnavailable(SessionopsError):
    """There is no model, or none that works; the message is the line that health shows."""


class Meaning:
    """The model that the settings name, and the vectors that it made. For several threads.

    Args:
        database: where the vectors are stored.
        settings: name the model.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self.model = model_name(settings)
        self.vectors = Vectors(database, self.model)
        self._settings = settings
        self._guard = threading.Lock()
        self._loaded: Embedder | None = None

    def probe(self) -> Probe:
        """Whether the model works, as health tells it."""
        return model_probe(self._settings)

    def embedder(self, wait: float = _CHECK_SECONDS) -> Embedder:
        """The model, loaded if it was not.

        Args:
            wait: seconds to wait for a check of it that is under way.

        Raises:
            SemanticUnavailable: there is none that works.
        """
        probe, deadline = self.probe(), time.monotonic() + wait
        while probe.value == "checking" and time.monotonic() < deadline:
            time.sleep(0.05)
            probe = self.probe()
        if not probe.ok:
            raise SemanticUnavailable(f"{NAME}: {probe.value}", hint=probe.hint)
        with self._guard:
            if self._loaded is None:
                from tracker.search.embedding import load_embedder

                self._loaded = load_embedder(chosen_folder(self._settings))
            return self._loaded

    def nearest(
        self, query: str, limit: int, permitted: NDArray[np.int64] | None = None
    ) -> dict[int, float]:
        """The texts that mean what the query means, best first, each with its cosine.

        Args:
            query: what is asked for.
            limit: texts at the most.
            permitted: only these texts; None: all.

        Raises:
            SemanticUnavailable: there is no model that works.
        """
        vector = self.embedder().embed([query])[0]
        return self.vectors.nearest(vector, limit, permitted)
