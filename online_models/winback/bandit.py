"""The contextual bandit: one Bayesian linear regression per action, chosen from in proportion to belief.

An action is chosen with the probability that it is the best one (Thompson sampling [1]_), which for linear
models with Gaussian beliefs is an integral over one dimension. Computing it, instead of drawing from the
beliefs, gives the propensity that off-policy estimates need, exactly. A share of uniform exploration keeps it
above 0.

References
----------
.. [1] Agrawal, Goyal, 2013. Thompson sampling for contextual bandits with linear payoffs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from river import linear_model

from online_models import snapshots
from online_models.errors import CorruptStateError
from online_models.events import Floats
from online_models.winback.context import CONTEXT_NAMES

SNAPSHOT_VERSION: Final = 1
_NOISE_PRECISION: Final = 4.0
"""Of a reward: a return is 0 or 1, so its variance is a quarter at most."""
_GRID: Final = 201
_erf: Final = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True)
class BanditPolicy:
    """What the bandit believes, frozen: it decides, and learns nothing.

    Parameters
    ----------
    version
        Number of the snapshot, from 1; 0 believes nothing and chooses uniformly.
    means, covariances
        By arm: (C,) mean and (C, C) covariance of the weights of its reward.
    card
        Measures by name, for people.
    """

    version: int = 0
    means: Mapping[str, Floats] = field(default_factory=dict)
    covariances: Mapping[str, Floats] = field(default_factory=dict)
    card: Mapping[str, float] = field(default_factory=dict)

    def rewards(self, arms: Sequence[str], x: Floats) -> tuple[Floats, Floats]:
        """Return (A,) expected rewards of arms and their standard deviations, in a context (C,).

        An arm nothing was learned of is expected to give nothing, with the deviation of the prior.
        """
        prior = np.eye(x.size)
        mean = np.array([float(self.means[arm] @ x) if arm in self.means else 0.0 for arm in arms])
        variance = [float(x @ self.covariances.get(arm, prior) @ x) for arm in arms]
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def propensities(self, arms: Sequence[str], x: Floats, exploration: float, costs: Floats) -> Floats:
        """Return (A,) the probabilities with which arms are chosen; they sum to 1.

        Parameters
        ----------
        arms
            A names.
        x
            (C,) context.
        exploration
            Share that is uniform.
        costs
            (A,) costs of the arms, in the unit of the reward.
        """
        if not self.version or len(arms) == 1:
            return np.full(len(arms), 1 / len(arms))
        mean, deviation = self.rewards(arms, x)
        return (1 - exploration) * chance_of_best(mean - costs, deviation) + exploration / len(arms)

    def effects(self, arms: Sequence[str], costs: Floats, x: Floats) -> Floats:
        """Return (n,) how much more the best arm is expected to give, less its cost, than the first.

        Parameters
        ----------
        arms
            A names, doing nothing first.
        costs
            (A,) costs of the arms, in the unit of the reward.
        x
            (n, C) contexts.
        """
        none = np.zeros(x.shape[1])
        # Not a BLAS product: its rounding depends on how many rows there are.
        gains = [np.einsum("ij,j->i", x, self.means.get(arm, none)) for arm in arms]
        less = [gain - cost for gain, cost in zip(gains, costs, strict=True)]
        return np.asarray(np.max(less, axis=0) - gains[0])

    def to_snapshot(self) -> dict[str, Any]:
        """Return the policy as plain numbers and strings."""
        return {
            "version": self.version,
            "context": list(CONTEXT_NAMES),
            "means": {arm: mean.tolist() for arm, mean in self.means.items()},
            "covariances": {arm: matrix.tolist() for arm, matrix in self.covariances.items()},
            "card": dict(self.card),
        }

    @classmethod
    def from_snapshot(cls, content: Mapping[str, Any]) -> Self:
        """Return the policy that `to_snapshot` described; entries of the context go by their names.

        Raises
        ------
        CorruptStateError
            When it is something else.
        """
        with snapshots.reading("winback-policy"):
            names = list(content["context"])
            means = {arm: _vector(names, mean) for arm, mean in content["means"].items()}
            covariances = {arm: _matrix(names, rows) for arm, rows in content["covariances"].items()}
            policy = cls(int(content["version"]), means, covariances, dict(content["card"]))
        if not all(np.isfinite(part).all() for part in (*means.values(), *covariances.values())):
            raise CorruptStateError("winback-policy has weights that are no numbers")
        return policy


class Bandit:
    """One of River's Bayesian linear regressions per arm, learned outcome by outcome.

    Parameters
    ----------
    names
        Names of the entries of a context.

    Attributes
    ----------
    learned
        Outcomes learned.
    """

    def __init__(self, names: Sequence[str] = CONTEXT_NAMES) -> None:
        self.learned = 0
        self._names = tuple(names)
        self._models: dict[str, Any] = {}

    def learn_one(self, arm: str, x: Floats, reward: float) -> None:
        """Learn what an arm gave in a context (C,), before costs."""
        model = self._models.get(arm)
        if model is None:
            model = self._models[arm] = _fresh(self._names)
        model.learn_one(dict(zip(self._names, x.tolist(), strict=True)), reward)
        self.learned += 1

    def policy(self, version: int, card: Mapping[str, float]) -> BanditPolicy:
        """Return what is believed now."""
        size = len(self._names)
        return BanditPolicy(
            version,
            {arm: model._ss_inv_arr[:size, :size] @ model._eta_arr[:size] for arm, model in self._each()},  # noqa: SLF001  # River has no accessor
            {arm: np.array(model._ss_inv_arr[:size, :size], order="C") for arm, model in self._each()},  # noqa: SLF001  # same
            card,
        )

    def state(self) -> dict[str, Any]:
        """Return the bandit as plain numbers."""
        arms = {
            arm: {
                "precision": np.array(model._ss_arr, order="C"),  # noqa: SLF001  # River has no accessor
                "covariance": np.array(model._ss_inv_arr, order="C"),  # noqa: SLF001  # same
                "natural": model._eta_arr,  # noqa: SLF001  # same
            }
            for arm, model in self._each()
        }
        return {"learned": self.learned, "context": list(self._names), "arms": arms}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the bandit that `state` described; with another context it begins anew."""
        bandit = cls()
        if tuple(state["context"]) != CONTEXT_NAMES:
            return bandit
        bandit.learned = int(state["learned"])
        for arm, parts in state["arms"].items():
            model = bandit._models[arm] = _fresh(CONTEXT_NAMES)
            vars(model).update(
                _ss_arr=np.array(parts["precision"]),
                _ss_inv_arr=np.array(parts["covariance"], order="F"),
                _eta_arr=np.array(parts["natural"]),
                _m_dirty=True,
            )
        return bandit

    def _each(self) -> list[tuple[str, Any]]:
        return sorted(self._models.items())


def chance_of_best(mean: Floats, deviation: Floats) -> Floats:
    """Return (A,) the probabilities that each of independent Gaussians is the largest.

    Parameters
    ----------
    mean, deviation
        (A,) of the Gaussians; the deviations are positive.

    Examples
    --------
    >>> chance_of_best(np.array([0.0, 0.0]), np.array([1.0, 2.0])).round(3).tolist()
    [0.5, 0.5]
    >>> chance_of_best(np.array([1.0, 0.0]), np.array([1.0, 1.0])).round(3).tolist()
    [0.76, 0.24]
    """
    found = np.zeros(mean.size)
    z = np.linspace(-6.0, 6.0, _GRID)
    weight = np.exp(-z * z / 2)
    for arm in range(mean.size):
        value = mean[arm] + deviation[arm] * z
        below = (value[:, None] - mean) / deviation
        below[:, arm] = np.inf
        found[arm] = float((weight * (0.5 + 0.5 * _erf(below / math.sqrt(2))).prod(axis=1)).sum())
    return np.asarray(found / found.sum())


def _fresh(names: Sequence[str]) -> Any:
    model = linear_model.BayesianLinearRegression(alpha=1, beta=_NOISE_PRECISION)
    model._ensure_features(names)  # noqa: SLF001  # fixes the order of River's columns
    return model


def _vector(names: Sequence[str], values: Sequence[float]) -> Floats:
    known = dict(zip(names, map(float, values), strict=True))
    return np.array([known.get(name, 0.0) for name in CONTEXT_NAMES])


def _matrix(names: Sequence[str], rows: Sequence[Sequence[float]]) -> Floats:
    matrix = np.eye(len(CONTEXT_NAMES))
    place = {name: index for index, name in enumerate(CONTEXT_NAMES)}
    for name, row in zip(names, rows, strict=True):
        for other, value in zip(names, row, strict=True):
            if name in place and other in place:
                matrix[place[name], place[other]] = float(value)
    return matrix
