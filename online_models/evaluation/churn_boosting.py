"""Boosted trees, fitted anew every week to all labels known by then: what a nightly job would do at its best.

The trees see the same frozen features as the online models. LightGBM is in the extra `evaluation`; nothing
else of Keepstream needs it.

References
----------
.. [1] Ke et al., 2017. LightGBM: a highly efficient gradient boosting decision tree.
"""

from bisect import bisect_left
from typing import Any, Final

import numpy as np

from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.churn.labels import ExampleBatch
from online_models.errors import KeepstreamError
from online_models.evaluation.classification import Labels
from online_models.events import Floats

NAME: Final = "LightGBM weekly"
REFIT_MS: Final = 7 * 86_400_000

_ROUNDS: Final = 150
_LEAST_LABELS: Final = 100
_PARAMETERS: Final = {
    "objective": "binary",
    "num_leaves": 7,
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    "lambda_l2": 10.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "num_threads": 1,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


class MissingPackageError(KeepstreamError):
    """A package is not installed that only this needs; the message says how to get it."""


class WeeklyBoosting:
    """LightGBM with 7 leaves, regularised, refitted at the start of each week [1]_.

    Raises
    ------
    MissingPackageError
        When LightGBM is not installed.
    """

    def __init__(self) -> None:
        try:
            import lightgbm  # noqa: PLC0415  # an extra: needed only here
        except ImportError as error:
            raise MissingPackageError(
                "LightGBM is not installed: pip install 'keepstream[evaluation]', or leave --lightgbm out"
            ) from error
        self._lightgbm: Any = lightgbm
        self._known_ms: list[int] = []
        self._ends: list[int] = [0]
        self._features: list[Features32] = []
        self._labels: list[Labels] = []
        self._week = -1
        self._fitted: Any = None

    def learn(self, examples: ExampleBatch, now_ms: int) -> None:
        """Take labels that are known from `now_ms` on, epoch milliseconds."""
        self._known_ms.append(now_ms)
        self._ends.append(self._ends[-1] + len(examples))
        self._features.append(examples.features)
        self._labels.append(examples.label)

    def predict(self, examples: ExampleBatch) -> Floats:
        """Return (n,) probabilities of churn by the fit of each landmark's week; a half before the first."""
        found = np.full(len(examples), 0.5)
        weeks = examples.landmark_ms // REFIT_MS
        for week in np.unique(weeks).tolist():
            if week != self._week:
                self._week, self._fitted = week, self._fit(week * REFIT_MS)
            if self._fitted is not None:
                rows = np.flatnonzero(weeks == week)
                found[rows] = self._fitted.predict(examples.features[rows])
        return found

    def _fit(self, time_ms: int) -> Any:
        parts = bisect_left(self._known_ms, time_ms)
        if self._ends[parts] < _LEAST_LABELS:
            return None
        labels = np.concatenate(self._labels[:parts])
        if labels.min() == labels.max():
            return None
        features = np.concatenate(self._features[:parts])
        data = self._lightgbm.Dataset(features, labels, feature_name=list(FEATURE_NAMES))
        return self._lightgbm.train(_PARAMETERS, data, _ROUNDS)
