"""One ranking out of several: reciprocal rank fusion. Pure.

Scores of different kinds cannot be added; ranks can. Source: Cormack, Clarke and Büttcher,
"Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods" (2009).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

RANK_CONSTANT = 60
"""The paper's: how little the first places of one ranking count against a place in both."""


def fused(rankings: Iterable[Iterable[int]]) -> dict[int, float]:
    """What is in the rankings, best first, each with its score.

    Args:
        rankings: ids, best first.
    """
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (RANK_CONSTANT + rank)
    return dict(sorted(scores.items(), key=lambda entry: -entry[1]))
