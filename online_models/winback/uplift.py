"""How much more often users return after an action than without one, from decisions of known propensity.

Whoever got an action was picked for it, so plain return rates compare different people. Weighting every
outcome with one over the propensity of its action undoes that: the weighted mean of an action is what it
would have given had everybody got it (Hájek's estimator). The holdout is drawn by hash: its plain mean is
what no action gives.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from online_models.winback.settings import NONE

_Z: Final = 1.959964
HOLDOUT: Final = "holdout"
TREATED: Final = "treated"
"""All who are not in the holdout, whatever was chosen for them: what the whole loop is worth."""


@dataclass(slots=True)
class Sums:
    """Weighted sums of outcomes, enough for mean and variance.

    Parameters
    ----------
    cases, returns
        Outcomes, and those with a return; without weights.
    w, w2
        Sums of the weights and of their squares.
    wr, w2r
        The same over outcomes with a return.
    spend, spend2, cost
        Sums of weight times spending, of the squares of that, and of the costs (without weights).
    """

    cases: int = 0
    returns: int = 0
    w: float = 0.0
    w2: float = 0.0
    wr: float = 0.0
    w2r: float = 0.0
    spend: float = 0.0
    spend2: float = 0.0
    cost: float = 0.0

    def add(self, weight: float, *, returned: bool, spend: float, cost: float) -> None:
        """Take in an outcome."""
        self.cases += 1
        self.w += weight
        self.w2 += weight * weight
        self.spend += weight * spend
        self.spend2 += (weight * spend) ** 2
        self.cost += cost
        if returned:
            self.returns += 1
            self.wr += weight
            self.w2r += weight * weight

    @property
    def rate(self) -> float:
        """Weighted return rate; NaN without outcomes."""
        return self.wr / self.w if self.w else math.nan

    @property
    def variance(self) -> float:
        """Variance of `rate`; at least that of so many equal weights with a case of each kind added.

        So no rate of a few cases is certain.
        """
        if not self.w:
            return math.nan
        rate, effective = self.rate, self.w**2 / self.w2
        drawn = (rate * effective + 1) / (effective + 2)
        linear = (self.w2r * (1 - rate) ** 2 + (self.w2 - self.w2r) * rate**2) / self.w**2
        return max(linear, drawn * (1 - drawn) / effective)

    @property
    def mean_spend(self) -> float:
        """Weighted mean spending; NaN without outcomes."""
        return self.spend / self.w if self.w else math.nan


@dataclass(frozen=True, slots=True)
class Uplift:
    """What an action is worth.

    Parameters
    ----------
    cases, returns
        Outcomes, and returns among them, as they were.
    rate
        Return rate had everybody got the action.
    uplift, low, high
        How far that lies above the holdout's, with its interval of 95 %.
    spend_uplift
        How much more is spent within the horizon than in the holdout, per decision.
    cost
        Mean cost of a decision.
    """

    cases: int
    returns: int
    rate: float
    uplift: float
    low: float
    high: float
    spend_uplift: float
    cost: float


class UpliftBook:
    """Sums of the outcomes by action, holdout and treated."""

    def __init__(self) -> None:
        self._sums: dict[str, Sums] = {}

    def add(
        self, arm: str, propensity: float, *, holdout: bool, returned: bool, spend: float, cost: float
    ) -> None:
        """Take in an outcome; one of the holdout counts for it alone."""
        entries = [(HOLDOUT, 1.0)] if holdout else [(arm, 1 / propensity), (TREATED, 1.0)]
        for name, weight in entries:
            sums = self._sums.setdefault(name, Sums())
            sums.add(weight, returned=returned, spend=spend, cost=cost)

    def report(self) -> dict[str, Uplift]:
        """Return what every action, the treated in all and the holdout came to."""
        base = self._sums.get(HOLDOUT, Sums())
        found = {}
        for name, sums in sorted(self._sums.items(), key=lambda entry: _order(entry[0])):
            against = Sums() if name == HOLDOUT else base
            spread = _Z * math.sqrt(sums.variance + against.variance) if against.cases else math.nan
            uplift = sums.rate - against.rate
            found[name] = Uplift(
                cases=sums.cases,
                returns=sums.returns,
                rate=sums.rate,
                uplift=uplift,
                low=uplift - spread,
                high=uplift + spread,
                spend_uplift=sums.mean_spend - against.mean_spend,
                cost=sums.cost / sums.cases,
            )
        return found

    def state(self) -> dict[str, Any]:
        """Return the sums as plain numbers."""
        return {name: asdict(sums) for name, sums in self._sums.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Mapping[str, Any]]) -> Self:
        """Return the book that `state` described."""
        book = cls()
        book._sums = {name: Sums(**sums) for name, sums in state.items()}
        return book


def _order(name: str) -> tuple[int, str]:
    return ({HOLDOUT: 0, NONE: 1, TREATED: 3}.get(name, 2), name)
