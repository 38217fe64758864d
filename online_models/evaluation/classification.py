"""Exact measures of predicted probabilities; nothing is binned or sampled that need not be.

Ties are worth their expectation: a set of equal scores counts as if cut in random order. A measure that is
not defined for its input (an AUC of one class, anything of no rows) is NaN.

References
----------
.. [1] Hanley, McNeil, 1982. The meaning and use of the area under a receiver operating characteristic curve.
.. [2] Brier, 1950. Verification of forecasts expressed in terms of probability.
.. [3] Naeini, Cooper, Hauskrecht, 2015. Obtaining well calibrated probabilities using Bayesian binning.
.. [4] Neslin et al., 2006. Defection detection (top-decile lift as a measure of churn models).
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.errors import InvalidParameterError
from online_models.events import Floats, Int64s

Labels = npt.NDArray[np.integer[Any]] | npt.NDArray[np.bool_]

CLIP: Final = 1e-15
"""Probabilities are kept this far from 0 and 1 in the log loss."""

DECILE: Final = 0.1


def auc(labels: Labels, scores: Floats) -> float:
    """Return the probability that a positive scores above a negative, ties counting one half [1]_.

    Parameters
    ----------
    labels
        (n,) 1 for positive rows, else 0.
    scores
        (n,) the larger the likelier positive; no NaN.

    Examples
    --------
    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    positives = int(np.count_nonzero(labels))
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    midranks = ends - (counts - 1) / 2
    rank_sum = float(midranks[group[np.asarray(labels) != 0]].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def log_losses(labels: Labels, probabilities: Floats) -> Floats:
    """Return the (n,) log losses of the rows, in nats."""
    kept = np.clip(probabilities, CLIP, 1 - CLIP)
    return -np.log(np.where(np.asarray(labels) != 0, kept, 1 - kept))


def log_loss(labels: Labels, probabilities: Floats) -> float:
    """Return the mean log loss in nats.

    >>> round(log_loss(np.array([1, 0]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    return _mean(log_losses(labels, probabilities))


def brier(labels: Labels, probabilities: Floats) -> float:
    """Return the mean squared distance of probability and outcome [2]_."""
    return _mean((probabilities - np.asarray(labels, dtype=np.float64)) ** 2)


def calibration_error(labels: Labels, probabilities: Floats, *, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width [3]_.

    The distance of mean probability and share of positives in each bin, weighted by the bin's rows.

    Raises
    ------
    InvalidParameterError
        If `bins` is below 1.

    Examples
    --------
    >>> calibration_error(np.array([1, 0, 1, 1]), np.array([0.5, 0.5, 1.0, 1.0]))
    0.0
    """
    if bins < 1:
        raise InvalidParameterError(f"bins must be at least 1, got {bins}")
    if len(labels) == 0:
        return float("nan")
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=probabilities - np.asarray(labels, dtype=np.float64), minlength=bins)
    return float(np.abs(gaps).sum()) / len(labels)


def hits_in_top(labels: Labels, scores: Floats, top: int) -> float:
    """Return the expected number of positives among the `top` highest scores.

    >>> hits_in_top(np.array([1, 0, 1]), np.array([0.9, 0.5, 0.5]), 2)
    1.5
    """
    if top >= len(labels):
        return float(np.count_nonzero(labels))
    if top <= 0:
        return 0.0
    cut = np.partition(scores, len(scores) - top)[len(scores) - top]
    positive = np.asarray(labels) != 0
    above, at = scores > cut, scores == cut
    share = (top - np.count_nonzero(above)) / np.count_nonzero(at)
    return float(np.count_nonzero(positive & above) + share * np.count_nonzero(positive & at))


def top_decile_lift(labels: Labels, scores: Floats) -> float:
    """Return how many times the base rate the tenth of rows with the highest scores holds [4]_.

    >>> top_decile_lift(np.array([1] * 2 + [0] * 18), np.arange(20, 0, -1) / 20)
    10.0
    """
    positives = int(np.count_nonzero(labels))
    if positives == 0:
        return float("nan")
    top = max(1, round(DECILE * len(labels)))
    return hits_in_top(labels, scores, top) / top * len(labels) / positives


def lift_ceiling(labels: Labels) -> float:
    """Return the highest top-decile lift these labels allow: a tenth all positive, or all positives in it."""
    positives = int(np.count_nonzero(labels))
    if positives == 0:
        return float("nan")
    top = max(1, round(DECILE * len(labels)))
    return min(top, positives) / top * len(labels) / positives


def precision_at_budget(labels: Labels, scores: Floats, rounds: Int64s, budget: int) -> float:
    """Return the share of positives among the `budget` highest scores of every round.

    Parameters
    ----------
    labels, scores
        (n,) outcomes and scores.
    rounds
        (n,) the round (a week, a day) in which the row could have been chosen.
    budget
        How many rows may be chosen in a round; all of them where there are fewer.

    Raises
    ------
    InvalidParameterError
        If `budget` is below 1.
    """
    if budget < 1:
        raise InvalidParameterError(f"budget must be at least 1, got {budget}")
    positive = np.asarray(labels) != 0
    order = np.argsort(rounds, kind="stable")
    cuts = np.flatnonzero(np.diff(rounds[order])) + 1
    hits = chosen = 0.0
    for rows in np.split(order, cuts):
        hits += hits_in_top(positive[rows], scores[rows], budget)
        chosen += min(budget, len(rows))
    return hits / chosen if chosen else float("nan")


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
