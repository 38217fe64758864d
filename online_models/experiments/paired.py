"""The difference of two means, from users of two variants paired as they come.

The difference of a pair has a smaller spread than two means apart, so its confidence sequence is narrower
than the difference of two of them. Who is paired with whom depends on the order alone, never on what is
measured.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np

from online_models.errors import CorruptStateError
from online_models.events import Floats
from online_models.experiments.confidence import MeanSequences

MAX_WAITING: Final = 500
"""Users of one variant that wait for one of the other; more are a sign of a broken experiment."""


class PairedDifferences:
    """Confidence sequences of the differences of d measures between a variant and its control.

    Parameters
    ----------
    width
        How many measures.

    Examples
    --------
    >>> pairs = PairedDifferences(1)
    >>> for number in range(2_000):
    ...     pairs.add(np.array([1.0 if number % 10 else 0.0]), control=False)
    ...     pairs.add(np.array([1.0 if number % 2 else 0.0]), control=True)
    >>> low, high = pairs.interval(0.05)
    >>> bool(0.3 < low[0] < 0.4 < high[0] < 0.5)
    True
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._means = MeanSequences(width)
        self._waiting: list[dict[bool, deque[float]]] = [
            {side: deque(maxlen=MAX_WAITING) for side in (False, True)} for _ in range(width)
        ]

    def add(self, numbers: Floats, *, control: bool) -> None:
        """Take what was measured of a user, (d,), 0 to 1; NaN where nothing was."""
        shares = np.full(self._width, np.nan)
        for place, number in enumerate(numbers.tolist()):
            if math.isnan(number):
                continue
            others = self._waiting[place][not control]
            if others:
                difference = number - others.popleft()
                shares[place] = ((-difference if control else difference) + 1.0) / 2.0
            else:
                self._waiting[place][control].append(number)
        if not np.isnan(shares).all():
            self._means.update(shares)

    def interval(self, alpha: float) -> tuple[Floats, Floats]:
        """Return bounds of the differences, each right at every moment with a chance of 1 - alpha."""
        low, high = self._means.interval(alpha)
        return 2.0 * low - 1.0, 2.0 * high - 1.0

    def state(self) -> dict[str, Any]:
        """Return everything as plain numbers."""
        waiting = [[list(sides[False]), list(sides[True])] for sides in self._waiting]
        return {"means": self._means.state(), "waiting": waiting}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], width: int) -> Self:
        """Return the differences that `state` described.

        Raises
        ------
        CorruptStateError
            When it is of another number of measures.
        """
        found = cls(width)
        found._means = MeanSequences.from_state(state["means"], width)
        if len(state["waiting"]) != width:
            raise CorruptStateError(f"differences of {len(state['waiting'])} measures, not {width}")
        for sides, (variant, control) in zip(found._waiting, state["waiting"], strict=True):
            sides[False].extend(map(float, variant))
            sides[True].extend(map(float, control))
        return found
