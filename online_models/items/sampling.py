"""Which touches become examples for the ranker: a uniform sample by hash, so many a second of event time."""

from typing import Final, Self

import numpy as np
import numpy.typing as npt

from online_models.errors import InvalidParameterError
from online_models.events import Int64s, UInt64s

_HOUR_MS: Final = 3_600_000


class TouchSampler:
    """Takes a share of the touches that gave the wanted number in the hour before, and never more than that.

    The hash of the event decides, so the sample says nothing about who is in it, and the same log gives the
    same sample wherever batches are cut.

    Parameters
    ----------
    per_second
        Touches wanted per second of event time; None takes every one.

    Raises
    ------
    InvalidParameterError
        If `per_second` is negative.

    Examples
    --------
    >>> sampler = TouchSampler(per_second=1 / 3600)
    >>> sampler.choose(np.arange(3) * 1000, np.array([7, 8, 9], np.uint64)).tolist()
    [True, False, False]
    """

    def __init__(self, per_second: float | None = None) -> None:
        if per_second is not None and per_second < 0:
            raise InvalidParameterError(f"per_second must not be negative, got {per_second}")
        self._hourly = None if per_second is None else per_second * 3600
        self._hour = 0
        self._touches = self._taken = self._touches_before = 0

    def choose(self, time_ms: Int64s, event_id: UInt64s) -> npt.NDArray[np.bool_]:
        """Return which of (n,) touches to take, in log order."""
        if self._hourly is None:
            return np.ones(time_ms.size, np.bool_)
        chosen = np.zeros(time_ms.size, np.bool_)
        hours = np.maximum(np.maximum.accumulate(time_ms // _HOUR_MS), self._hour)
        for hour in np.unique(hours).tolist():
            part = np.flatnonzero(hours == hour)
            if hour != self._hour:
                self._touches_before = self._touches if self._hour else 0
                self._hour, self._touches, self._taken = hour, 0, 0
            share = min(1.0, self._hourly / max(self._touches_before, 1))
            lucky = part[_uniform(event_id[part]) < share]
            lucky = lucky[: max(int(np.ceil(self._hourly)) - self._taken, 0)]
            chosen[lucky] = True
            self._touches += part.size
            self._taken += lucky.size
        return chosen

    def state(self) -> list[int]:
        """Return the counts as plain numbers."""
        return [self._hour, self._touches, self._taken, self._touches_before]

    def restore(self, state: list[int]) -> Self:
        """Take over counts."""
        self._hour, self._touches, self._taken, self._touches_before = map(int, state)
        return self


def _uniform(values: UInt64s) -> npt.NDArray[np.float64]:
    """Return numbers in [0, 1) out of hashes, with their bits mixed (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((values ^ (values >> np.uint64(31))) / 2.0**64)
