"""What orders candidates: anything that scores feature rows, and the fixed weights to start from."""

from typing import Final, Protocol

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Floats
from online_models.items.candidates import RANK_FEATURES
from online_models.items.pairs import Floats32

BASE_WEIGHTS: Final = {
    "forward": 0.0,
    "backward": 0.0,
    "lag1_share": 0.2,
    "session_recency": 1.85,
    "session_count": 0.0,
    "is_last": -2.0,
    "log_popularity": -0.12,
    "log_lately": 0.08,
    "rank": 0.0,
    "session_length": 0.0,
    "cooccurrence": 1.1,
    "reload_share": 0.65,
    "fallback_popularity": 0.3,
    "same_category": 1.0,
}
"""Weights of a softmax over each list's candidates, fitted on the training parts of two public click logs at
once (serenade's example sessions and the first week of the RecSys Challenge 2015) and rounded. Both logs lack
categories: the weight of the last feature is a choice."""


class Ranker(Protocol):
    """Scores candidates; the higher the sooner."""

    def score_many(self, features: Floats32) -> Floats:
        """Return a score for each row of features (n, f), in the order of `RANK_FEATURES`."""


class BaseRanker:
    """A linear score with fixed weights: what ranks until a learned ranker has arrived.

    Parameters
    ----------
    weights
        Weight by feature name, every name of `RANK_FEATURES` once; `BASE_WEIGHTS` where left out.

    Raises
    ------
    InvalidParameterError
        When names are missing or unknown, or a weight is not finite.

    Examples
    --------
    >>> ranker = BaseRanker()
    >>> ranker.score_many(np.zeros((2, len(RANK_FEATURES)), np.float32)).tolist()
    [0.0, 0.0]
    """

    def __init__(self, weights: dict[str, float] | None = None) -> None:
        weights = BASE_WEIGHTS if weights is None else weights
        if set(weights) != set(RANK_FEATURES):
            wrong = sorted(set(weights) ^ set(RANK_FEATURES))
            raise InvalidParameterError(f"weights must name every feature once, got {wrong} wrong")
        self._weights = np.array([weights[name] for name in RANK_FEATURES])
        if not np.isfinite(self._weights).all():
            raise InvalidParameterError(f"weights must be finite, got {weights}")

    def score_many(self, features: Floats32) -> Floats:
        """Return a score for each row of features (n, f), in the order of `RANK_FEATURES`."""
        scores: Floats = features @ self._weights
        return scores
