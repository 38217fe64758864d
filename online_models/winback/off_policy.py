"""What another policy would have earned on logged decisions: inverse propensity scores and doubly robust.

Logged are context, action, the propensity with which it was chosen, and its reward. The estimators are those
of [1]_ and [2]_; intervals are normal, from the variance of the terms.

References
----------
.. [1] Horvitz, Thompson, 1952. A generalization of sampling without replacement from a finite universe.
.. [2] Dudík, Langford, Li, 2011. Doubly robust policy evaluation and learning.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Floats

_Z: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean reward per decision with its interval of 95 %; NaN where nothing was logged."""

    value: float
    low: float
    high: float
    cases: int


def ips(reward: Floats, propensity: Floats, target: Floats) -> Estimate:
    """Return the inverse propensity estimate of a policy's mean reward: unbiased, wide.

    Parameters
    ----------
    reward
        (n,) rewards of the logged actions.
    propensity
        (n,) probabilities with which these were chosen.
    target
        (n,) probabilities with which the policy would have chosen them.

    Raises
    ------
    InvalidParameterError
        When a propensity is not above 0 and at most 1.
    """
    return mean_of(reward * _weights(propensity, target))


def snips(reward: Floats, propensity: Floats, target: Floats) -> Estimate:
    """Return the self-normalised estimate: weights are divided by their sum; parameters as in `ips`."""
    weights = _weights(propensity, target)
    total = float(weights.sum())
    if total <= 0:
        return Estimate(math.nan, math.nan, math.nan, len(reward))
    value = float(weights @ reward) / total
    spread = _Z * math.sqrt(float((weights * (reward - value)) @ (weights * (reward - value)))) / total
    return Estimate(value, value - spread, value + spread, len(reward))


def doubly_robust(
    reward: Floats, propensity: Floats, target: Floats, predicted: Floats, expected: Floats
) -> Estimate:
    """Return the doubly robust estimate: right if either the propensities or the predictions are.

    Parameters
    ----------
    reward, propensity, target
        As in `ips`.
    predicted
        (n,) a model's prediction of the reward of the logged action.
    expected
        (n,) the model's prediction of the policy's reward: over its actions, weighted by its probabilities.
    """
    return mean_of(expected + (reward - predicted) * _weights(propensity, target))


def mean_of(terms: Floats) -> Estimate:
    """Return the mean of independent terms with its interval.

    >>> found = mean_of(np.array([0.0, 1.0, 0.0, 1.0]))
    >>> found.value, round(found.high, 2)
    (0.5, 1.07)
    """
    cases = len(terms)
    if not cases:
        return Estimate(math.nan, math.nan, math.nan, 0)
    value = float(terms.mean())
    spread = _Z * float(terms.std(ddof=1)) / math.sqrt(cases) if cases > 1 else math.inf
    return Estimate(value, value - spread, value + spread, cases)


def _weights(propensity: Floats, target: Floats) -> Floats:
    if propensity.size and not (propensity.min() > 0 and propensity.max() <= 1):
        raise InvalidParameterError(
            f"propensity must be above 0 and at most 1, got {propensity.min()} to {propensity.max()}"
        )
    return np.asarray(target / propensity)
