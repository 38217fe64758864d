"""Confidence sequences for means of bounded numbers: intervals that hold whenever one looks.

A usual interval of 95 % is wrong far more often than 5 % of the time when somebody looks at it every day and
stops as soon as it excludes zero. A confidence sequence [1]_ is wrong at any time with a chance of at most
alpha in all. This is the empirical-Bernstein one with predictable plug-ins [2]_, theorem 2: it needs nothing
but numbers from 0 to 1, and adapts to their variance. Any weights that are known beforehand will do. Where
the mean moves with time it holds for the mean of what was expected, weighted as the numbers are.

References
----------
.. [1] Howard, Ramdas, McAuliffe, Sekhon: Time-uniform, nonparametric, nonasymptotic confidence sequences,
   Annals of Statistics 49(2), 2021.
.. [2] Waudby-Smith, Ramdas: Estimating means of bounded random variables by betting, JRSS B 86(1), 2024.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import Floats

_TUNED_FOR: Final = 0.025
"""Weights are chosen for intervals of this chance of error; they hold for any."""
_TUNED_AT: Final = 1_000.0
"""Intervals are narrowest, compared with those that may be looked at once, about so many numbers on."""
_LARGEST: Final = 0.5
_SUMS: Final = ("count", "total", "squares", "weight", "weighted", "penalty")


class MeanSequences:
    """Confidence sequences of d means, side by side.

    Parameters
    ----------
    width
        How many.

    Raises
    ------
    InvalidParameterError
        When `width` is below 1.

    Examples
    --------
    >>> means = MeanSequences(1)
    >>> for number in [1, 0, 0, 1] * 500:
    ...     means.update(np.array([number]))
    >>> low, high = means.interval(0.05)
    >>> bool(0.4 < low[0] < 0.5 < high[0] < 0.6)
    True
    """

    def __init__(self, width: int) -> None:
        if width < 1:
            raise InvalidParameterError(f"width must be at least 1, got {width}")
        self.count, self.total, self.squares = np.zeros(width), np.zeros(width), np.zeros(width)
        self.weight, self.weighted, self.penalty = np.zeros(width), np.zeros(width), np.zeros(width)

    @property
    def mean(self) -> Floats:
        """Plain means, NaN where nothing was seen."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.total / self.count)

    def update(self, numbers: Floats) -> None:
        """Take one number of each sequence, (d,), 0 to 1; NaN where there is none."""
        known = np.isfinite(numbers)
        x = np.where(known, np.clip(numbers, 0.0, 1.0), 0.0)
        time = self.count + 1.0
        mean, variance = (0.5 + self.total) / time, (0.25 + self.squares) / time
        wanted = np.sqrt(2.0 * np.log(2.0 / _TUNED_FOR) / (variance * np.maximum(time, _TUNED_AT)))
        bet = np.where(known, np.minimum(wanted, _LARGEST), 0.0)
        self.count = self.count + known
        self.total = self.total + x
        self.weight = self.weight + bet
        self.weighted = self.weighted + bet * x
        self.penalty = self.penalty + (x - mean) ** 2 * (-np.log1p(-bet) - bet)
        after = (0.5 + self.total) / (time + 1.0)
        self.squares = self.squares + np.where(known, (x - after) ** 2, 0.0)

    def interval(self, alpha: float) -> tuple[Floats, Floats]:
        """Return lower and upper bounds that are all right at every moment with a chance of 1 - alpha each.

        Raises
        ------
        InvalidParameterError
            When `alpha` is not between 0 and 1.
        """
        if not 0.0 < alpha < 1.0:
            raise InvalidParameterError(f"alpha must be between 0 and 1, got {alpha}")
        seen = self.weight > 0.0
        weight = np.where(seen, self.weight, 1.0)
        half = (np.log(2.0 / alpha) + self.penalty) / weight
        centre = self.weighted / weight
        low = np.where(seen, np.maximum(centre - half, 0.0), 0.0)
        return low, np.where(seen, np.minimum(centre + half, 1.0), 1.0)

    def state(self) -> dict[str, Any]:
        """Return the sums as plain numbers."""
        return {name: getattr(self, name).tolist() for name in _SUMS}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], width: int) -> Self:
        """Return the sequences that `state` described.

        Raises
        ------
        CorruptStateError
            When there are not as many sums as sequences, or one is no finite number.
        """
        found = cls(width)
        for name in _SUMS:
            sums = np.array(state[name], np.float64)
            if sums.shape != (width,) or not np.isfinite(sums).all():
                raise CorruptStateError(f"{name} of confidence sequences are {state[name]!r}")
            setattr(found, name, sums)
        return found
