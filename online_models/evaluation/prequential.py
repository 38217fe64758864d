"""Live quality: accumulators that judge each prediction by the outcome that comes after it.

Two ways to forget: a window of the last outcomes, and fading, where an outcome loses half its weight after
`half_life` later ones. All have River's verbs `update` and `get`, and `state` and `from_state` in plain
numbers.

References
----------
.. [1] Gama, Sebastião, Rodrigues, 2013. On evaluating stream learning algorithms.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.evaluation import classification
from online_models.events import Floats, Int8s, Int64s


class FadingMeans:
    """Means of several quantities over outcomes that fade [1]_.

    Parameters
    ----------
    names
        The quantities, in the order of the columns given to `update`.
    half_life
        After how many later outcomes an outcome weighs half; infinite for plain means.

    Raises
    ------
    InvalidParameterError
        If `half_life` is not positive.

    Examples
    --------
    >>> means = FadingMeans(["hit"], half_life=1)
    >>> means.update(np.array([[1.0], [0.0]]))
    >>> round(means.get()["hit"], 4)
    0.3333
    """

    def __init__(self, names: Sequence[str], half_life: float = float("inf")) -> None:
        if not half_life > 0:
            raise InvalidParameterError(f"half_life must be positive, got {half_life}")
        self.names = tuple(names)
        self.half_life = half_life
        self.count = 0
        self._sums = np.zeros(len(self.names))
        self._weight = 0.0

    def update(self, values: Floats) -> None:
        """Take outcomes in order: (n, len(names)) values."""
        count = len(values)
        weights = np.exp2(-np.arange(count - 1, -1, -1) / self.half_life)
        kept = 2.0 ** (-count / self.half_life)
        self._sums = self._sums * kept + weights @ values
        self._weight = self._weight * kept + float(weights.sum())
        self.count += count

    def get(self) -> dict[str, float]:
        """Return the mean of every quantity; NaN before the first outcome."""
        if not self.count:
            return dict.fromkeys(self.names, float("nan"))
        return dict(zip(self.names, (self._sums / self._weight).tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """Return everything as plain numbers and strings."""
        return {
            "names": list(self.names),
            "half_life": self.half_life,
            "count": self.count,
            "sums": self._sums.tolist(),
            "weight": self._weight,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the accumulator that `state` described.

        Raises
        ------
        CorruptStateError
            If a key is missing or has the wrong shape.
        """
        try:
            means = cls(state["names"], state["half_life"])
            sums = np.array(state["sums"], dtype=np.float64)
            means.count, means._weight = int(state["count"]), float(state["weight"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptStateError(f"state of fading means cannot be loaded: {error!r}") from error
        if sums.shape != means._sums.shape:
            raise CorruptStateError(f"state of fading means has {sums.shape} sums for {means.names}")
        means._sums = sums
        return means


class FadingRanking:
    """Hit rate and mean reciprocal rank of the last lists, fading.

    Parameters
    ----------
    cutoffs
        The list lengths to judge.
    half_life
        After how many later cases a case weighs half.

    Examples
    --------
    >>> quality = FadingRanking(cutoffs=(5, 20))
    >>> quality.update(np.array([0, 9, -1, 1]))
    >>> quality.get()
    {'hit_rate@5': 0.5, 'mrr@5': 0.375, 'hit_rate@20': 0.75, 'mrr@20': 0.4}
    """

    def __init__(self, cutoffs: Sequence[int] = (5, 10, 20), half_life: float = float("inf")) -> None:
        self.cutoffs = tuple(cutoffs)
        self._ends = np.array(self.cutoffs, np.int64)
        names = [f"{name}@{cutoff}" for cutoff in self.cutoffs for name in ("hit_rate", "mrr")]
        self._means = FadingMeans(names, half_life)

    @property
    def count(self) -> int:
        """How many cases were taken."""
        return self._means.count

    def update(self, ranks: Int64s) -> None:
        """Take the (n,) ranks of the targets, 0 for the head of the list, -1 where the list lacks it."""
        values = np.empty((ranks.size, len(self._means.names)))
        hit = (ranks >= 0)[:, None] & (ranks[:, None] < self._ends)
        values[:, 0::2] = hit
        values[:, 1::2] = hit / (np.maximum(ranks, 0) + 1)[:, None]
        self._means.update(values)

    def get(self) -> dict[str, float]:
        """Return ``hit_rate@k`` and ``mrr@k`` for every cutoff."""
        return self._means.get()

    def state(self) -> dict[str, Any]:
        """Return everything as plain numbers and strings."""
        return {"cutoffs": list(self.cutoffs), "means": self._means.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the accumulator that `state` described.

        Raises
        ------
        CorruptStateError
            If a key is missing or the means do not belong to the cutoffs.
        """
        try:
            ranking, means = cls(state["cutoffs"]), FadingMeans.from_state(state["means"])
        except (KeyError, TypeError) as error:
            raise CorruptStateError(f"state of a fading ranking cannot be loaded: {error!r}") from error
        if means.names != ranking._means.names:
            raise CorruptStateError(f"state of a fading ranking holds {means.names}")
        ranking._means = means
        return ranking


class WindowedProbabilities:
    """Exact quality of the predictions behind the last `size` outcomes.

    Parameters
    ----------
    size
        How many outcomes are kept; 9 bytes each.

    Raises
    ------
    InvalidParameterError
        If `size` is below 1.

    Examples
    --------
    >>> window = WindowedProbabilities(size=3)
    >>> window.update(np.array([0, 1, 0, 1]), np.array([0.9, 0.8, 0.1, 0.6]))
    >>> window.get()["auc"]
    1.0
    """

    def __init__(self, size: int = 10_000) -> None:
        if size < 1:
            raise InvalidParameterError(f"size must be at least 1, got {size}")
        self.size = size
        self.count = 0
        self._labels: Int8s = np.zeros(size, dtype=np.int8)
        self._probabilities: Floats = np.zeros(size)

    def update(self, labels: classification.Labels, probabilities: Floats) -> None:
        """Take outcomes in order: (n,) labels and the probabilities given before they were known."""
        kept = min(len(labels), self.size)
        places = (self.count + len(labels) - kept + np.arange(kept)) % self.size
        self._labels[places] = labels[len(labels) - kept :]
        self._probabilities[places] = probabilities[len(labels) - kept :]
        self.count += len(labels)

    def window(self) -> tuple[Int8s, Floats]:
        """Return the kept labels and probabilities, oldest first."""
        filled = min(self.count, self.size)
        places = (self.count - filled + np.arange(filled)) % self.size
        return self._labels[places], self._probabilities[places]

    def get(self) -> dict[str, float]:
        """Return AUC, log loss, Brier score, calibration error and base rate; NaN while undefined."""
        labels, probabilities = self.window()
        return {
            "auc": classification.auc(labels, probabilities),
            "log_loss": classification.log_loss(labels, probabilities),
            "brier": classification.brier(labels, probabilities),
            "calibration_error": classification.calibration_error(labels, probabilities),
            "base_rate": float(labels.mean()) if len(labels) else float("nan"),
        }

    def state(self) -> dict[str, Any]:
        """Return everything as plain numbers and bytes."""
        labels, probabilities = self.window()
        return {
            "size": self.size,
            "count": self.count,
            "labels": labels.tobytes(),
            "probabilities": probabilities.astype("<f8").tobytes(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the window that `state` described.

        Raises
        ------
        CorruptStateError
            If a key is missing or the columns do not have the length the count tells.
        """
        try:
            window = cls(state["size"])
            labels = np.frombuffer(state["labels"], dtype=np.int8)
            probabilities = np.frombuffer(state["probabilities"], dtype="<f8")
            count = int(state["count"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptStateError(f"state of a window cannot be loaded: {error!r}") from error
        if not len(labels) == len(probabilities) == min(count, window.size):
            raise CorruptStateError(f"state of a window holds {len(labels)} labels, {count} were counted")
        window.count = count - len(labels)
        window.update(labels, probabilities)
        return window
