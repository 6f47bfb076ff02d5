"""The forward pass of a BERT encoder in numpy, for sentences of any lengths at once.

Knows arrays only: no files, no text. Activations are kept feature-major, ``(features, tokens)``:
``weight @ x`` on the weights as they are stored is the order in which BLAS copies least, which
makes a short query almost twice as fast as ``x @ weight.T``. The tokens of all sentences stand
side by side without padding; only attention looks at where one ends.

Source: Devlin et al., "BERT" (2018), https://arxiv.org/abs/1810.04805.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tracker.search.gelu import gelu_in_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Floats: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Affine:
    """A weight and a bias: of a dense layer, or (with a vector as weight) of a layer norm."""

    weight: Floats
    bias: Floats

    def dense(self, x: Floats) -> Floats:
        y: Floats = self.weight @ x
        y += self.bias
        return y

    def normalised(self, x: Floats, epsilon: np.float32) -> Floats:
        x -= x.mean(axis=0)
        x /= np.sqrt(np.square(x).mean(axis=0) + epsilon)
        x *= self.weight
        x += self.bias
        return x


@dataclass(frozen=True, slots=True)
class _Layer:
    query: _Affine
    key: _Affine
    value: _Affine
    attended: _Affine
    attended_norm: _Affine
    widened: _Affine
    narrowed: _Affine
    narrowed_norm: _Affine


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbouring sentences of one length: ``count`` of them from token ``start`` on."""

    start: int
    count: int
    length: int

    @property
    def tokens(self) -> slice:
        return slice(self.start, self.start + self.count * self.length)


class Encoder:
    """A BERT encoder with a mean over the tokens of each sentence on top.

    Args:
        tensors: the weights under the names that the transformers library gives them.
        layers: number of layers.
        heads: attention heads a layer.
        epsilon: added to the variance in a layer norm.

    Raises:
        KeyError: a weight is missing.
    """

    def __init__(
        self, tensors: Mapping[str, Floats], *, layers: int, heads: int, epsilon: float
    ) -> None:
        def affine(name: str) -> _Affine:
            weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
            return _Affine(weight if weight.ndim > 1 else weight[:, None], bias[:, None])

        self._words = tensors["embeddings.word_embeddings.weight"]
        # All our texts are a first segment, so its embedding joins that of the position.
        self._positions = (
            tensors["embeddings.position_embeddings.weight"]
            + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = affine("embeddings.LayerNorm")
        self._heads = heads
        self._epsilon = np.float32(epsilon)
        self._scale = np.float32((self.dimensions // heads) ** -0.5)
        self._layers = [
            _Layer(
                query=affine(f"encoder.layer.{index}.attention.self.query"),
                key=affine(f"encoder.layer.{index}.attention.self.key"),
                value=affine(f"encoder.layer.{index}.attention.self.value"),
                attended=affine(f"encoder.layer.{index}.attention.output.dense"),
                attended_norm=affine(f"encoder.layer.{index}.attention.output.LayerNorm"),
                widened=affine(f"encoder.layer.{index}.intermediate.dense"),
                narrowed=affine(f"encoder.layer.{index}.output.dense"),
                narrowed_norm=affine(f"encoder.layer.{index}.output.LayerNorm"),
            )
            for index in range(layers)
        ]

    @property
    def dimensions(self) -> int:
        """Components of a sentence's vector."""
        return int(self._words.shape[1])

    @property
    def longest(self) -> int:
        """Tokens that a sentence may have at the most."""
        return len(self._positions)

    def mean_vectors(self, sentences: Sequence[Ids]) -> Floats:
        """The mean of the last layer over each sentence's tokens, one row a sentence.

        Args:
            sentences: token ids, at least one each. Sentences of one length compute fastest when
                they are neighbours.
        """
        lengths = [len(sentence) for sentence in sentences]
        groups = list(_groups(lengths))
        x = self._embedded(sentences, lengths)
        for layer in self._layers:
            x = self._through(layer, x, groups)
        starts = np.cumsum([0, *lengths[:-1]])
        sums: Floats = np.add.reduceat(x, starts, axis=1)
        sums /= np.array(lengths, np.float32)
        return sums.T

    def _embedded(self, sentences: Sequence[Ids], lengths: Sequence[int]) -> Floats:
        rows = self._words[np.concatenate(sentences)]
        rows += self._positions[np.concatenate([np.arange(length) for length in lengths])]
        return self._norm.normalised(np.ascontiguousarray(rows.T), self._epsilon)

    def _through(self, layer: _Layer, x: Floats, groups: Sequence[_Group]) -> Floats:
        attended = layer.attended.dense(self._attention(layer, x, groups))
        attended += x
        x = layer.attended_norm.normalised(attended, self._epsilon)
        wide = layer.widened.dense(x)
        gelu_in_place(wide)
        narrow = layer.narrowed.dense(wide)
        narrow += x
        return layer.narrowed_norm.normalised(narrow, self._epsilon)

    def _attention(self, layer: _Layer, x: Floats, groups: Sequence[_Group]) -> Floats:
        queries, keys, values = layer.query.dense(x), layer.key.dense(x), layer.value.dense(x)
        queries *= self._scale
        mixed = np.empty_like(x)
        for group in groups:
            query, key, value = (self._by_head(m, group) for m in (queries, keys, values))
            weights = _softmax(query.swapaxes(-1, -2) @ key)
            self._by_head(mixed, group)[...] = value @ weights.swapaxes(-1, -2)
        return mixed

    def _by_head(self, x: Floats, group: _Group) -> Floats:
        """A view of the group's tokens as (sentence, head, feature of the head, token)."""
        shape = (self._heads, -1, group.count, group.length)
        return x[:, group.tokens].reshape(shape).transpose(2, 0, 1, 3)


def _groups(lengths: Sequence[int]) -> Iterator[_Group]:
    start = first = 0
    for index, length in enumerate(lengths):
        if index + 1 == len(lengths) or lengths[index + 1] != length:
            yield _Group(start, index + 1 - first, length)
            start += (index + 1 - first) * length
            first = index + 1


def _softmax(scores: Floats) -> Floats:
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores
