"""BG/NBD: how likely a customer with a given purchase history stays silent for a while.

While alive, a customer buys at a rate drawn from Gamma(r, alpha); after every purchase he drops out with a
probability drawn from Beta(a, b) [1]_. Four numbers describe all customers; three describe one: `frequency`
(the days with a purchase after the first), `recency` (time from the first to the last) and `age` (time since
the first).

References
----------
.. [1] Fader, Hardie, Lee, 2005. "Counting your customers" the easy way: an alternative to the
   Pareto/NBD model.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from scipy.special import betaln, expit, gammaln

from online_models.errors import InvalidParameterError
from online_models.events import Floats


@dataclass(frozen=True, slots=True)
class Histories:
    """Purchase histories of n customers; times in one unit, whichever it is.

    Parameters
    ----------
    frequency
        (n,) number of days with a purchase after the first.
    recency
        (n,) time from the first to the last purchase.
    age
        (n,) time from the first purchase to now; at least `recency`.
    weight
        (n,) how many customers share the history; one each unless given.
    """

    frequency: Floats
    recency: Floats
    age: Floats
    weight: Floats = field(default_factory=lambda: np.ones(1))

    def grouped(self) -> "Histories":
        """Return the distinct histories with the number of customers that share each."""
        rows = np.stack([self.frequency, self.recency, self.age], axis=1)
        distinct, place = np.unique(rows, axis=0, return_inverse=True)
        weight = np.bincount(place.ravel(), weights=np.broadcast_to(self.weight, (len(rows),)))
        return Histories(distinct[:, 0], distinct[:, 1], distinct[:, 2], weight.astype(np.float64))


@dataclass(frozen=True, slots=True)
class BgNbd:
    """A BG/NBD model with given parameters.

    Parameters
    ----------
    r, alpha
        Shape and rate (a time) of the purchase rates' gamma distribution.
    a, b
        Of the drop-out probabilities' beta distribution.

    Raises
    ------
    InvalidParameterError
        If a parameter is not positive and finite.
    """

    r: float
    alpha: float
    a: float
    b: float

    def __post_init__(self) -> None:
        for name in ("r", "alpha", "a", "b"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise InvalidParameterError(f"{name} must be positive and finite, got {value}")

    def log_likelihoods(self, histories: Histories) -> Floats:
        """Return the (n,) log likelihoods of the histories (equation 6 of [1]_)."""
        x = histories.frequency
        common = (
            gammaln(self.r + x)
            - gammaln(self.r)
            + self.r * np.log(self.alpha)
            + betaln(self.a, self.b + x)
            - betaln(self.a, self.b)
        )
        alive = -(self.r + x) * np.log(self.alpha + histories.age)
        return np.asarray(common + alive + np.logaddexp(0.0, self._log_odds_gone(histories)))

    def probability_alive(self, histories: Histories) -> Floats:
        """Return the (n,) probabilities that the customers have not dropped out."""
        return np.asarray(expit(-self._log_odds_gone(histories)))

    def probability_of_silence(self, histories: Histories, horizon: float) -> Floats:
        """Return the (n,) probabilities of no purchase within `horizon` from now: P(0 in H).

        Examples
        --------
        >>> model = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
        >>> histories = Histories(np.array([2.0]), np.array([30.43]), np.array([38.86]))
        >>> model.probability_of_silence(histories, 39.0).round(3).tolist()
        [0.445]
        """
        shape = self.r + histories.frequency
        rate = self.alpha + histories.age
        quiet_if_alive = np.exp(-shape * np.log1p(horizon / rate))
        return np.asarray(1 - self.probability_alive(histories) * (1 - quiet_if_alive))

    @classmethod
    def fit(cls, histories: Histories, start: "BgNbd | None" = None) -> Self:
        """Return the model of greatest likelihood, found by Newton steps on the logarithms of the parameters.

        Parameters
        ----------
        histories
            At least one; with a unit in which typical ages are between 1 and 1,000 (days, weeks).
        start
            Where to begin: a model fitted before converges in a few steps.

        Raises
        ------
        InvalidParameterError
            If there is no history.
        """
        if not len(histories.frequency):
            raise InvalidParameterError("BG/NBD needs at least one history to be fitted, got none")
        grouped = histories.grouped()
        first = start or cls(1.0, max(1.0, float(np.median(histories.age)) / 4), 1.0, 1.0)
        point = np.log([first.r, first.alpha, first.a, first.b])
        return cls(*np.exp(_ascend(grouped, point)).tolist())

    def _log_odds_gone(self, histories: Histories) -> Floats:
        x = histories.frequency
        repeat = np.maximum(x, 1)
        odds = (
            np.log(self.a)
            - np.log(self.b + repeat - 1)
            + (self.r + x) * (np.log(self.alpha + histories.age) - np.log(self.alpha + histories.recency))
        )
        return np.where(x > 0, odds, -np.inf)


_STEP = 1e-3
_BOUND = 12.0
"""The logarithms of the parameters stay within this distance of 0: exp(12) is 160,000."""


def _mean_log_likelihood(histories: Histories, point: Floats) -> float:
    model = BgNbd(*np.exp(np.clip(point, -_BOUND, _BOUND)).tolist())
    return float(histories.weight @ model.log_likelihoods(histories) / histories.weight.sum())


def _ascend(histories: Histories, point: Floats, steps: int = 60) -> Floats:
    """Climb the likelihood from `point` by damped Newton steps with central differences."""
    value, damping = _mean_log_likelihood(histories, point), 1e-3
    for _ in range(steps):
        gradient, curvature = _derivatives(histories, point, value)
        if np.abs(gradient).max() < 1e-6:
            break
        while damping < 1e8:
            move = np.linalg.solve(_downward(curvature) + damping * np.eye(4), gradient)
            candidate = np.clip(point + np.clip(move, -2, 2), -_BOUND, _BOUND)
            reached = _mean_log_likelihood(histories, candidate)
            if reached > value:
                break
            damping *= 10
        else:
            break
        gained, point, value = reached - value, candidate, reached
        damping = max(damping / 10, 1e-9)
        if gained < 1e-10:
            break
    return point


def _downward(curvature: Floats) -> Floats:
    """Return the negated curvature with every eigenvalue made positive, so that a step always climbs."""
    values, vectors = np.linalg.eigh(-curvature)
    return np.asarray(vectors @ np.diag(np.maximum(np.abs(values), 1e-8)) @ vectors.T)


def _derivatives(histories: Histories, point: Floats, value: float) -> tuple[Floats, Floats]:
    """Return gradient and curvature by central differences: 24 likelihoods."""
    size = len(point)
    steps = np.eye(size) * _STEP
    up = np.array([_mean_log_likelihood(histories, point + step) for step in steps])
    down = np.array([_mean_log_likelihood(histories, point - step) for step in steps])
    gradient = (up - down) / (2 * _STEP)
    curvature = np.diag((up - 2 * value + down) / _STEP**2)
    for i in range(size):
        for j in range(i):
            both = _mean_log_likelihood(histories, point + steps[i] + steps[j])
            neither = _mean_log_likelihood(histories, point - steps[i] - steps[j])
            mixed = (both - up[i] - up[j] + 2 * value - down[i] - down[j] + neither) / (2 * _STEP**2)
            curvature[i, j] = curvature[j, i] = mixed
    return gradient, curvature
