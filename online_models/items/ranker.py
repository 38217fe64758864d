"""What orders candidates: anything that scores feature rows, and the fixed weights to start from."""

from typing import Final, Protocol

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Floats
from online_models.items.features import RANK_FEATURES
from online_models.items.pairs import Floats32

_BASE: Final = {
    "lag1_share": 0.6,
    "session_recency": 1.85,
    "is_last": -2.0,
    "log_popularity": -0.48,
    "log_lately": 0.32,
    "cooccurrence": 3.3,
    "reload_share": 1.95,
    "fallback_popularity": 1.2,
    "same_category": 1.0,
    "two_steps": 0.9,
    "own_count": 0.5,
}
BASE_WEIGHTS: Final = {name: _BASE.get(name, 0.0) for name in RANK_FEATURES}
"""Weights of a softmax over each list's candidates, fitted on the training parts of two public click logs at
once (serenade's example sessions and the first week of the RecSys Challenge 2015) and rounded. Both logs lack
categories and returning users: the weights of the last three features named above are a choice."""


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
