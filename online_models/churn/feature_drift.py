"""Watches the means of features, which tell of a change before any label of it is known.

A change in the shop shows in the log loss only once labels of the new time mature. What users do shows in
their features at once, and these arrive with the labels of the hazard, the youngest there are.

Bifet, A. & Gavaldà, R. (2007): Learning from Time-Changing Data with Adaptive Windowing. SDM 2007.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from online_models.churn.drift import Adwin
from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.errors import CorruptStateError
from online_models.events import Floats

WATCHED: Final = (
    "recency",
    "recency_over_gap",
    "sessions_30d",
    "activity_7d",
    "views_7d",
    "carts_7d",
    "purchases_30d",
    "spend_30d",
    "order_value",
    "rating_last",
)
"""What the latest behaviour sets. Sums over all time grow as a shop grows older, without any change."""

BLOCK: Final = 32
"""Rows of which each detector sees the mean: single users differ too much to tell anything."""
_PLACES: Final = [FEATURE_NAMES.index(name) for name in WATCHED]
_FIRST: Final = 1024
"""Rows by which features are put on one scale; watching begins after them."""
_BOUND: Final = 5.0
_RANGE: Final = 3.0
"""Means of a block hardly lie further apart."""


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """A feature whose mean over users has changed.

    Parameters
    ----------
    feature
        Its name.
    at_ms
        When the row that showed it arrived, epoch milliseconds.
    moved
        How far the mean of the rows kept lies from that of those dropped, in standard deviations over users
        as they were when watching began; positive means up. Some of the rows kept may be from before the
        change, so the full change is often larger.
    """

    feature: str
    at_ms: int
    moved: float


class FeatureWatch:
    """An ADWIN for the mean of each watched feature.

    Attributes
    ----------
    drifts
        By feature: how often its mean has changed.

    Examples
    --------
    >>> watch, rows = FeatureWatch(), np.random.default_rng(0).normal(3, 1, (9000, len(FEATURE_NAMES)))
    >>> rows[4000:, FEATURE_NAMES.index("recency")] += 1
    >>> found = [drift for at, x in enumerate(rows.astype(np.float32)) for drift in watch.update(x, at)]
    >>> {(drift.feature, drift.at_ms > 4000, drift.moved > 0) for drift in found}
    {('recency', True, True)}
    """

    def __init__(self) -> None:
        self.drifts = dict.fromkeys(WATCHED, 0)
        self._seen = 0
        self._means: Floats = np.zeros(len(WATCHED))
        self._squares: Floats = np.zeros(len(WATCHED))
        self._block: Floats = np.zeros(len(WATCHED))
        self._detectors = {name: Adwin() for name in WATCHED}

    def update(self, x: Features32, at_ms: int) -> list[FeatureDrift]:
        """Take in a row and return the features whose mean has changed.

        Parameters
        ----------
        x
            (F,) features, all finite.
        at_ms
            When it arrived, epoch milliseconds.
        """
        values = x[_PLACES].astype(np.float64)
        self._seen += 1
        if self._seen <= _FIRST:
            away = values - self._means
            self._means = self._means + away / self._seen
            self._squares = self._squares + away * (values - self._means)
            return []
        spread = np.sqrt(self._squares / _FIRST)
        away = np.divide(values - self._means, spread, out=np.zeros(len(values)), where=spread > 0)
        self._block = self._block + np.clip(away, -_BOUND, _BOUND)
        if self._seen % BLOCK:
            return []
        # ADWIN's bound is for values of which the largest and the smallest lie 1 apart, or nearly so.
        block, self._block = self._block / (BLOCK * _RANGE), np.zeros(len(values))
        return [
            drift
            for name, mean in zip(WATCHED, block.tolist(), strict=True)
            if (drift := self._watch(name, mean, at_ms)) is not None
        ]

    def card(self) -> dict[str, float]:
        """Return how often means have changed, in all and by feature."""
        total = {"drifts": float(sum(self.drifts.values()))}
        return total | {f"{name}_drifts": float(count) for name, count in self.drifts.items()}

    def state(self) -> dict[str, Any]:
        """Return the detectors as plain numbers, by the names of their features."""
        return {
            "seen": self._seen,
            "features": {
                name: {
                    "drifts": self.drifts[name],
                    "mean": float(self._means[place]),
                    "squares": float(self._squares[place]),
                    "block": float(self._block[place]),
                    "detector": self._detectors[name].state(),
                }
                for place, name in enumerate(WATCHED)
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` described.

        A release that watches other features puts all on one scale anew.

        Raises
        ------
        CorruptStateError
            When a number is missing or none.
        """
        if set(state["features"]) != set(WATCHED):
            return
        saved = [state["features"][name] for name in WATCHED]
        numbers = np.array([[one["mean"], one["squares"], one["block"]] for one in saved], dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise CorruptStateError("watched features have means that are no numbers")
        self._seen = int(state["seen"])
        self._means, self._squares, self._block = numbers.T.copy()
        self.drifts = {name: int(one["drifts"]) for name, one in zip(WATCHED, saved, strict=True)}
        self._detectors = {
            name: Adwin.from_state(one["detector"]) for name, one in zip(WATCHED, saved, strict=True)
        }

    def _watch(self, name: str, mean: float, at_ms: int) -> FeatureDrift | None:
        detector = self._detectors[name]
        width, total = detector.width + 1, detector.width * detector.mean + mean
        if not detector.update(mean):
            return None
        self.drifts[name] += 1
        kept = detector.width * detector.mean
        dropped = (total - kept) / (width - detector.width)
        return FeatureDrift(name, at_ms, (detector.mean - dropped) * _RANGE)
