"""ADWIN with a state of plain numbers, so that it survives a restart exactly.

River's own detector cannot be saved; this one decides the same (a test compares them value by value).

Bifet, A. & Gavaldà, R. (2007): Learning from Time-Changing Data with Adaptive Windowing. SDM 2007.
"""

import math
from collections.abc import Iterator
from typing import Any, Final, Self

from online_models.errors import InvalidParameterError

_MAX_BUCKETS: Final = 5
_CHECK_EVERY: Final = 32
_LEAST_PART: Final = 5
_GRACE: Final = 10

Bucket = tuple[float, float]
"""Sum and squared deviations of 2**level values."""


class Adwin:
    """A window over the latest values that drops its older part once the two differ in mean.

    Parameters
    ----------
    delta
        Confidence: the chance of a false alarm at one comparison.

    Attributes
    ----------
    width
        Values in the window.
    rising
        Whether the last change was towards larger values.

    Raises
    ------
    InvalidParameterError
        When `delta` is not between 0 and 1.

    Examples
    --------
    >>> detector = Adwin()
    >>> [i for i in range(400) if detector.update(0.0 if i < 200 else 1.0)][0] - 200 < 32
    True
    """

    def __init__(self, delta: float = 0.002) -> None:
        if not 0 < delta < 1:
            raise InvalidParameterError(f"delta must be between 0 and 1, got {delta}")
        self.delta = delta
        self.rising = False
        self._changed = False
        self._clear()

    @property
    def mean(self) -> float:
        """Mean of the values in the window."""
        return self._sum / self.width if self.width else 0.0

    def update(self, value: float) -> bool:
        """Take in a value and return whether the mean has changed; the detector then starts afresh."""
        if self._changed:
            self._clear()
        self.width += 1
        if self.width > 1:
            before = self._sum / (self.width - 1)
            self._deviation += (self.width - 1) * (value - before) ** 2 / self.width
        self._sum += value
        self._levels[0].append((value, 0.0))
        self._compress()
        self._seen += 1
        if self._seen % _CHECK_EVERY == 0 and self.width > _GRACE:
            self._changed = self._shrink()
        return self._changed

    def state(self) -> dict[str, Any]:
        """Return the detector as plain numbers."""
        return {
            "delta": self.delta,
            "rising": self.rising,
            "width": self.width,
            "sum": self._sum,
            "deviation": self._deviation,
            "levels": [[list(bucket) for bucket in level] for level in self._levels],
            "seen": self._seen,
            "changed": self._changed,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the detector that `state` described."""
        detector = cls(state["delta"])
        detector.rising, detector.width = state["rising"], state["width"]
        detector._sum, detector._deviation = state["sum"], state["deviation"]
        detector._levels = [[(total, spread) for total, spread in level] for level in state["levels"]]
        detector._seen, detector._changed = state["seen"], state["changed"]
        return detector

    def _clear(self) -> None:
        self.width = 0
        self._sum = 0.0
        self._deviation = 0.0
        self._levels: list[list[Bucket]] = [[]]
        self._seen = 0
        self._changed = False

    def _compress(self) -> None:
        level = 0
        while len(self._levels[level]) > _MAX_BUCKETS:
            if level + 1 == len(self._levels):
                self._levels.append([])
            (first, first_spread), (second, second_spread) = self._levels[level][:2]
            del self._levels[level][:2]
            size = 2**level
            spread = (first / size - second / size) ** 2 * size / 2
            self._levels[level + 1].append((first + second, first_spread + second_spread + spread))
            level += 1

    def _shrink(self) -> bool:
        """Drop the oldest bucket as long as some cut of the window separates two different means."""
        changed = False
        while (rising := self._separates()) is not None:
            changed, self.rising = True, rising
            self._drop_oldest()
        return changed

    def _oldest_first(self) -> Iterator[tuple[int, Bucket]]:
        for level in range(len(self._levels) - 1, -1, -1):
            for bucket in self._levels[level]:
                yield 2**level, bucket

    def _separates(self) -> bool | None:
        """Return whether the mean rose at the first cut that separates, None where no cut does."""
        older, older_sum, newer, newer_sum = 0, 0.0, self.width, self._sum
        for size, (total, _) in self._oldest_first():
            older, older_sum = older + size, older_sum + total
            newer, newer_sum = newer - size, newer_sum - total
            if newer < 1:
                break
            if older < _LEAST_PART or newer < _LEAST_PART:
                continue
            change = newer_sum / newer - older_sum / older
            if abs(change) > self._bound(older, newer):
                return change > 0
        return None

    def _bound(self, older: int, newer: int) -> float:
        confidence = math.log(2 * math.log(self.width) / self.delta)
        harmonic = 1 / (older - _LEAST_PART + 1) + 1 / (newer - _LEAST_PART + 1)
        variance = self._deviation / self.width
        return math.sqrt(2 * harmonic * variance * confidence) + 2 / 3 * confidence * harmonic

    def _drop_oldest(self) -> None:
        total, spread = self._levels[-1].pop(0)
        size = 2 ** (len(self._levels) - 1)
        self.width -= size
        self._sum -= total
        mean = total / size
        gap = (mean - self._sum / self.width) ** 2
        self._deviation -= spread + size * self.width * gap / (size + self.width)
        while len(self._levels) > 1 and not self._levels[-1]:
            self._levels.pop()
