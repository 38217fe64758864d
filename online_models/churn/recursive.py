"""Logistic regression of second order: a Gaussian over the weights, updated label by label.

Where AdaGrad takes a step of a size per feature, this one knows how features go together, so it needs far
fewer labels to arrive; it costs a matrix of the features' number squared.

References
----------
Spiegelhalter, D. J. & Lauritzen, S. L. (1990): Sequential updating of conditional probabilities on directed
graphical structures. Networks 20(5).
Ollivier, Y. (2018): Online natural gradient as a Kalman filter. Electronic Journal of Statistics 12(2).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import Floats

_STEPS: Final = 12


class RecursiveLogistic:
    """A logistic regression whose weights have a mean and a covariance.

    Parameters
    ----------
    names
        The inputs, in the order of their columns.
    variance
        (d,) variances of the weights before the first label, or one for all.
    mean
        (d,) weights before the first label; zeros unless given.
    noise
        Variance that every weight gains per label: the world is taken to move slowly, so learning never ends.

    Attributes
    ----------
    weights
        (d,) means of the weights.
    learned
        Labels learned.

    Raises
    ------
    InvalidParameterError
        When a variance is not positive or the noise is negative.

    Examples
    --------
    >>> model = RecursiveLogistic(("x", "one"))
    >>> for x in (1.0, -1.0) * 50:
    ...     model.learn_one(np.array([x, 1.0]), int(x > 0))
    >>> bool(model.weights[0] > 1)
    True
    """

    def __init__(
        self,
        names: Sequence[str],
        variance: Floats | float = 1.0,
        mean: Floats | None = None,
        noise: float = 1e-11,
    ) -> None:
        self.names = tuple(names)
        self.variance: Floats = np.broadcast_to(np.asarray(variance, dtype=np.float64), (len(names),)).copy()
        if not (self.variance > 0).all():
            raise InvalidParameterError(f"variance must be positive, got {variance}")
        if not 0 <= noise < float("inf"):
            raise InvalidParameterError(f"noise must not be negative, got {noise}")
        self.mean: Floats = np.zeros(len(self.names)) if mean is None else np.array(mean, dtype=np.float64)
        self.weights = self.mean.copy()
        self.noise = noise
        self.learned = 0
        self._covariance: Floats = np.diag(self.variance)

    def learn_one(self, x: Floats, label: int, weight: float = 1.0) -> None:
        """Learn one label: move to the likeliest weights and narrow the covariance there.

        Parameters
        ----------
        x
            (d,) inputs.
        label
            0 or 1.
        weight
            How much of a label it is: below 1 where labels repeat each other.
        """
        along = weight * (self._covariance @ x)
        spread = float(x @ along)
        log_odds = _settle(float(self.weights @ x), spread, label)
        chance = 1 / (1 + math.exp(-log_odds))
        bend = chance * (1 - chance)
        self.weights = self.weights + along * (label - chance)
        self._covariance -= np.multiply.outer(along, along) * (bend / (weight * (1 + bend * spread)))
        np.einsum("ii->i", self._covariance)[:] += self.noise
        self.learned += 1

    def loosen(self) -> None:
        """Trust what was learned no more than at first, as a start for another question."""
        self._covariance = np.diag(self.variance)

    def state(self) -> dict[str, Any]:
        """Return the model as plain numbers and strings; of the covariance the upper triangle."""
        return {
            "names": list(self.names),
            "weights": self.weights,
            "learned": self.learned,
            "covariance": self._covariance[np.triu_indices(len(self.names))],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` described; inputs go by their names, new ones begin as at first.

        Raises
        ------
        CorruptStateError
            When numbers are missing or none.
        """
        names = list(state["names"])
        size = len(names)
        upper = np.triu_indices(size)
        saved, triangle = np.asarray(state["weights"], float), np.asarray(state["covariance"], float)
        if saved.shape != (size,) or triangle.shape != upper[0].shape:
            raise CorruptStateError(f"{size} inputs have {saved.size} weights, {triangle.size} covariances")
        if not (np.isfinite(saved).all() and np.isfinite(triangle).all()):
            raise CorruptStateError("weights or covariances are no numbers")
        whole = np.zeros((size, size))
        whole[upper] = triangle
        whole.T[upper] = triangle
        found = [(names.index(name), place) for place, name in enumerate(self.names) if name in names]
        self.weights, self._covariance = self.mean.copy(), np.diag(self.variance)
        if found:
            old, new = (list(places) for places in zip(*found, strict=True))
            self.weights[new] = saved[old]
            self._covariance[np.ix_(new, new)] = whole[np.ix_(old, old)]
        self.learned = int(state["learned"])


def _settle(log_odds: float, spread: float, label: int) -> float:
    """Return the log-odds z after the step, which solve z = log_odds + spread * (label - sigmoid(z)).

    A plain Newton step overshoots where the model was sure and wrong; the solution never does. It lies
    between where the step starts and where it would lead if nothing bent.
    """
    chance = 1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))
    low, high = sorted((log_odds, log_odds + spread * (label - chance)))
    low, high = max(low, -500.0), min(high, 500.0)
    z = max(low, min(high, log_odds))
    for _ in range(_STEPS):
        chance = 1 / (1 + math.exp(-z))
        off = z - log_odds - spread * (label - chance)
        low, high = (z, high) if off < 0 else (low, z)
        moved = z - off / (1 + spread * chance * (1 - chance))
        moved = moved if low <= moved <= high else (low + high) / 2
        if moved == z:
            break
        z = moved
    return z
