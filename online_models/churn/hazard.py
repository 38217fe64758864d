"""The chance to come within the next days, rolled forward to the horizon: a forecast from young labels.

Silence over the horizon is silence in each of its steps, each seen from the features that the user will have
by then. The labels of a step are known after the step, not after the horizon, so this model is the first to
follow a change.

References
----------
Singer, J. D. & Willett, J. B. (1993): It's about time: using discrete-time survival analysis. Journal of
Educational Statistics 18(2).
Sundararajan, M., Taly, A. & Yan, Q. (2017): Axiomatic attribution for deep networks. ICML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np

from online_models.churn.ageing import aged
from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.churn.settings import DAY_MS, BgNbdSettings
from online_models.errors import InvalidParameterError
from online_models.events import Floats

BOUND: Final = 8.0
"""Log-odds of silence are kept within this distance of 0."""

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Roll:
    """How a step is rolled to the horizon.

    Parameters
    ----------
    horizon_ms, step_ms
        Horizon, and the step that a label of the hazard covers.
    bgnbd
        Parameters of one feature.

    Raises
    ------
    InvalidParameterError
        When the step is longer than the horizon or not positive.
    """

    horizon_ms: int
    step_ms: int
    bgnbd: BgNbdSettings = field(default_factory=BgNbdSettings)

    def __post_init__(self) -> None:
        if not 0 < self.step_ms <= self.horizon_ms:
            raise InvalidParameterError(
                f"step_ms must be positive and at most {self.horizon_ms}, got {self.step_ms}"
            )

    @property
    def starts_ms(self) -> Floats:
        """(k,) when each step begins, from now."""
        return np.arange(0, self.horizon_ms, self.step_ms, dtype=np.float64)

    @property
    def shares(self) -> Floats:
        """(k,) how much of each step lies within the horizon."""
        return np.minimum(self.step_ms, self.horizon_ms - self.starts_ms) / self.step_ms

    def aged(self, features: Features32 | Floats) -> Floats:
        """Return (k, n, F) the features at the begin of each step, if nothing happens before it."""
        return aged(features, self.starts_ms / DAY_MS, self.horizon_ms / DAY_MS, self.bgnbd)


@dataclass(frozen=True)
class RolledHazard:
    """A hazard model, frozen, that answers for the horizon.

    Parameters
    ----------
    weights, bias
        (F,) weights of the raw features and the constant of activity within a step.
    roll
        How it is rolled.
    """

    weights: Floats
    bias: float
    roll: Roll

    def log_odds(self, features: Features32 | Floats) -> Floats:
        """Return (n,) log-odds of no activity within the horizon for (n, F) features."""
        return self.log_odds_aged(self.roll.aged(features))

    def log_odds_aged(self, steps: Floats) -> Floats:
        """Return the same for (k, n, F) features that `Roll.aged` has computed."""
        return _odds(self._within(steps), self.roll.shares)

    def contributions(self, features: Features32 | Floats, center: Floats) -> Floats:
        """Return (n, F) what each feature adds to the log-odds, compared with a user at the center.

        Integrated gradients on the straight line between both in the aged features: they add up to the
        difference of the log-odds, and where the model is linear they are weight times distance.

        Parameters
        ----------
        features
            (n, F) features.
        center
            (F,) features of the user to compare with.
        """
        there = self.roll.aged(features)
        here = self.roll.aged(center[None, :])
        start, stop = self._within(here), self._within(there)
        slopes = np.zeros(stop.shape)
        for node, weight in zip(_NODES.tolist(), _NODE_WEIGHTS.tolist(), strict=True):
            share = (node + 1) / 2
            slopes += weight / 2 * _slopes(start + share * (stop - start), self.roll.shares)
        found = np.einsum("kn,knf,f->nf", slopes, there - here, self.weights)
        wanted = _odds(stop, self.roll.shares) - _odds(start, self.roll.shares)
        total = found.sum(axis=1)
        # The quadrature is off by its last digits, and flat beyond the bound.
        scale = np.divide(wanted, total, out=np.ones(len(total)), where=np.abs(total) > 1e-9)
        return np.asarray(found * scale[:, None])

    def to_snapshot(self) -> dict[str, Any]:
        """Return the model as plain numbers and strings."""
        model = self.roll.bgnbd
        return {
            "features": list(FEATURE_NAMES),
            "weights": self.weights.tolist(),
            "bias": self.bias,
            "horizon_ms": self.roll.horizon_ms,
            "step_ms": self.roll.step_ms,
            "bgnbd": {"r": model.r, "alpha_days": model.alpha_days, "a": model.a, "b": model.b},
        }

    @classmethod
    def from_snapshot(cls, content: Mapping[str, Any]) -> Self:
        """Return the model that `to_snapshot` described; features go by their names."""
        weights = dict(zip(content["features"], map(float, content["weights"]), strict=True))
        bgnbd = BgNbdSettings(**{name: float(value) for name, value in content["bgnbd"].items()})
        return cls(
            np.array([weights.get(name, 0.0) for name in FEATURE_NAMES]),
            float(content["bias"]),
            Roll(int(content["horizon_ms"]), int(content["step_ms"]), bgnbd),
        )

    def _within(self, steps: Floats) -> Floats:
        """Return (k, n) log-odds of activity within each step."""
        # Not a BLAS product: its rounding depends on how many rows there are.
        return np.asarray(np.einsum("knf,f->kn", steps, self.weights) + self.bias)


def _odds(within: Floats, shares: Floats) -> Floats:
    quiet = -(np.logaddexp(0.0, within) * shares[:, None]).sum(axis=0)
    quiet = np.minimum(quiet, -1e-12)
    return np.asarray(np.clip(quiet - np.log(-np.expm1(quiet)), -BOUND, BOUND))


def _slopes(within: Floats, shares: Floats) -> Floats:
    """Return (k, n) derivatives of the log-odds of silence by the log-odds of each step."""
    quiet = np.minimum(-(np.logaddexp(0.0, within) * shares[:, None]).sum(axis=0), -1e-12)
    chance = 1 / (1 + np.exp(-np.clip(within, -30.0, 30.0)))
    return np.asarray(chance * shares[:, None] / np.expm1(quiet))
