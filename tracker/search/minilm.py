"""The default backend: all-MiniLM-L6-v2 and models of its form with tokenizers and numpy.

Gives the vectors of sentence-transformers (cosine at least 0.9999 for every text, tested against
its numbers) without torch: ready in hundredths of a second, in a tenth of the memory. Importing
this module imports numpy, so import it only when there is something to embed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import InvalidInput, NotFound
from tracker.search.bert import Encoder, Floats, Ids
from tracker.search.blas import use_one_thread
from tracker.search.safetensors import map_float32

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

# More tokens in a batch gain nothing: the weights are read often enough from the cache by then.
_BATCH_TOKENS = 512

# A megabyte of text takes a second to cut into tokens of which 256 are used. So the head is tried
# first: up to a space, tokens do not depend on what follows.
_HEAD_CHARACTERS = 8_192


class MiniLM:
    """A sentence-transformers model with BERT, mean pooling and normalised vectors.

    Use ``load``. May be used by several threads at once.

    Args:
        model: name of the model.
        tokenizer: cuts at the model's length and does not pad.
        encoder: the network.
        threads: how many threads a call with many texts may use.
    """

    def __init__(self, model: str, tokenizer: Tokenizer, encoder: Encoder, threads: int) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self._encoder = encoder
        self._threads = threads

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> MiniLM:
        """Load the model in ``folder``; its weights stay mapped from there.

        Whether the files are the published ones is for ``models.verify`` to say.

        Args:
            folder: a folder as sentence-transformers writes it.
            threads: how many threads a call with many texts may use.

        Raises:
            NotFound: a file is missing.
            InvalidInput: a file is damaged, or the model is of another form.
        """
        from tokenizers import Tokenizer

        try:
            config = _supported_config(folder)
            length = _read_json(folder / "sentence_bert_config.json")["max_seq_length"]
            tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
            encoder = Encoder(
                map_float32(folder / "model.safetensors"),
                layers=config["num_hidden_layers"],
                heads=config["num_attention_heads"],
                epsilon=config["layer_norm_eps"],
            )
        except FileNotFoundError as error:
            raise NotFound(
                f"{error.filename} is missing", hint="get it with: session-buddy models fetch"
            ) from error
        except KeyError as error:
            raise InvalidInput(f"{error} is missing", where=str(folder)) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(min(length, encoder.longest))
        use_one_thread()
        return cls(folder.name, tokenizer, encoder, threads)

    @property
    def dimensions(self) -> int:
        """Components of a vector."""
        return self._encoder.dimensions

    def embed(self, texts: Sequence[str]) -> Floats:
        """One row of unit length a text; what exceeds the model's 256 tokens is not looked at.

        Args:
            texts: any texts; half surrogate pairs count as ``?``.

        Returns:
            Shape (number of texts, dimensions).
        """
        tokens = [self._tokens(text) for text in texts]
        vectors = np.empty((len(texts), self.dimensions), np.float32)

        def fill(batch: list[int]) -> None:
            vectors[batch] = self._encoder.mean_vectors([tokens[index] for index in batch])

        batches = list(_batches(tokens))
        if self._threads > 1 and len(batches) > 1:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(self._threads) as pool:
                list(pool.map(fill, batches))
        else:
            for batch in batches:
                fill(batch)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _tokens(self, text: str) -> Ids:
        # The tokenizer's strings are UTF-8, which has no half surrogate pairs.
        text = text.encode("utf-8", "replace").decode("utf-8")
        if len(text) > _HEAD_CHARACTERS:
            head = self._tokenizer.encode(text[:_HEAD_CHARACTERS].rpartition(" ")[0])
            if head.overflowing:
                return np.array(head.ids)
        return np.array(self._tokenizer.encode(text).ids)


def _batches(tokens: Sequence[Ids]) -> Iterator[list[int]]:
    """Indices of texts, short ones first, in batches of about ``_BATCH_TOKENS``."""
    batch: list[int] = []
    filled = 0
    for index in sorted(range(len(tokens)), key=lambda index: len(tokens[index])):
        if batch and filled + len(tokens[index]) > _BATCH_TOKENS:
            yield batch
            batch, filled = [], 0
        batch.append(index)
        filled += len(tokens[index])
    if batch:
        yield batch


def _supported_config(folder: Path) -> dict[str, Any]:
    """The configuration, if this backend computes what it describes."""
    config: dict[str, Any] = _read_json(folder / "config.json")
    pooling = _read_json(folder / "1_Pooling" / "config.json")
    modules = [module["type"].rpartition(".")[2] for module in _read_json(folder / "modules.json")]
    found = {
        "model_type": config["model_type"],
        "hidden_act": config["hidden_act"],
        "position_embedding_type": config.get("position_embedding_type", "absolute"),
        "pooling": [key for key, on in pooling.items() if on is True],
        "modules": modules,
    }
    supported = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "pooling": ["pooling_mode_mean_tokens"],
        "modules": ["Transformer", "Pooling", "Normalize"],
    }
    for key, value in supported.items():
        if found[key] != value:
            raise InvalidInput(
                f"this model has {key} {found[key]!r}, the backend computes {value!r}",
                where=str(folder),
            )
    return config


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidInput(f"not JSON: {error}", where=str(path)) from error
