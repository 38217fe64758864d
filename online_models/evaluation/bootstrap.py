"""Intervals of differences between two models on the same cases, by resampling users.

Cases of one user (or session) resemble each other, so users are drawn with replacement, not cases [1]_; both
models are judged on the same draws, which makes the comparison paired.

References
----------
.. [1] Field, Welsh, 2007. Bootstrapping clustered data.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.evaluation.classification import Labels
from online_models.events import Floats, Int64s

_ROWS_AT_ONCE: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference with the bounds between which it lies in `level` of the draws."""

    difference: float
    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Draws:
    """How to resample: how often, from which seed, for which share of the draws.

    Parameters
    ----------
    count
        Number of resamples.
    seed
        Of the pseudo-random numbers; the same seed gives the same interval.
    level
        Share of the draws that lies within the interval.

    Raises
    ------
    InvalidParameterError
        If `count` is below 1 or `level` not between 0 and 1.
    """

    count: int = 1000
    seed: int = 7
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InvalidParameterError(f"count must be at least 1, got {self.count}")
        if not 0 < self.level < 1:
            raise InvalidParameterError(f"level must be between 0 and 1, got {self.level}")

    def weights(self, users: int) -> Iterator[Floats]:
        """Yield blocks of (draws, users): how often each user was drawn."""
        random = np.random.default_rng(self.seed)
        left = self.count
        while left:
            block = min(left, max(1, _ROWS_AT_ONCE // max(users, 1)))
            yield random.multinomial(users, np.full(users, 1 / users), size=block).astype(np.float64)
            left -= block

    def interval(self, difference: float, drawn: Floats) -> Interval:
        """Return the percentile interval of the drawn differences; NaN bounds where none is defined."""
        defined = drawn[~np.isnan(drawn)]
        if not len(defined):
            return Interval(difference, float("nan"), float("nan"), self.level)
        tail = (1 - self.level) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        return Interval(difference, float(low), float(high), self.level)


def interval_of_means(first: Floats, second: Floats, users: Int64s, draws: Draws | None = None) -> Interval:
    """Return the interval of ``mean(first) - mean(second)``.

    Parameters
    ----------
    first, second
        (n,) what each model scored on each case.
    users
        (n,) codes 0, 1, ... of the users (or sessions) the cases belong to.
    draws
        How to resample.

    Examples
    --------
    >>> found = interval_of_means(np.ones(4), np.zeros(4), np.array([0, 0, 1, 2]))
    >>> found.difference, found.low, found.high
    (1.0, 1.0, 1.0)
    """
    draws = draws or Draws()
    if not len(first):
        return Interval(float("nan"), float("nan"), float("nan"), draws.level)
    sums = np.bincount(users, weights=first - second)
    cases = np.bincount(users).astype(np.float64)
    drawn = [block @ sums / (block @ cases) for block in draws.weights(len(cases))]
    return draws.interval(float(sums.sum() / cases.sum()), np.concatenate(drawn))


def interval_of_aucs(
    labels: Labels, first: Floats, second: Floats, users: Int64s, draws: Draws | None = None
) -> Interval:
    """Return the interval of ``auc(first) - auc(second)``; parameters as in `interval_of_means`."""
    draws = draws or Draws(count=200)
    if not len(labels):
        return Interval(float("nan"), float("nan"), float("nan"), draws.level)
    ordered = [_Ordered(labels, scores) for scores in (first, second)]
    whole = np.ones(len(labels))
    difference = ordered[0].auc(whole) - ordered[1].auc(whole)
    drawn = [
        ordered[0].auc(weights[users]) - ordered[1].auc(weights[users])
        for block in draws.weights(int(users.max()) + 1)
        for weights in block
    ]
    return draws.interval(difference, np.array(drawn))


class _Ordered:
    """Scores sorted once, so that every draw costs one pass."""

    def __init__(self, labels: Labels, scores: Floats) -> None:
        self._order = np.argsort(scores, kind="stable")
        ordered = scores[self._order]
        self._starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        self._positive = (np.asarray(labels)[self._order] != 0).astype(np.float64)

    def auc(self, weights: Floats) -> float:
        drawn = weights[self._order]
        positive = np.add.reduceat(drawn * self._positive, self._starts)
        every = np.add.reduceat(drawn, self._starts)
        negative = every - positive
        below = np.cumsum(negative) - negative
        pairs = positive.sum() * negative.sum()
        return float((positive * (below + negative / 2)).sum() / pairs) if pairs else float("nan")
