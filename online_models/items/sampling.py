"""Which touches become examples for the ranker: a uniform sample by hash, so many a second of event time."""

from itertools import pairwise
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from online_models.errors import InvalidParameterError
from online_models.events import Int64s, UInt64s

_HOUR_MS: Final = 3_600_000
_BY_THE_HOUR: Final = 4
_ENOUGH: Final = 60
"""Touches of a stretch, so that what one gives is no matter of chance."""


class TouchSampler:
    """Takes a share of the touches that gave the wanted number in the stretch before, never more than that.

    A stretch is as long as 60 touches are wanted in it, a second to an hour of event time: a log of much in
    little time gives no more than the shop itself would. The hash of the event decides, so the sample says
    nothing about who is in it, and the same log gives the same sample wherever batches are cut.

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
        self._stretch_ms = _HOUR_MS
        if per_second:
            self._stretch_ms = int(min(max(_ENOUGH * 1000 / per_second, 1000), _HOUR_MS))
        self._wanted = None if per_second is None else per_second * self._stretch_ms / 1000
        self._number = 0
        self._touches = self._taken = self._touches_before = 0

    def choose(self, time_ms: Int64s, event_id: UInt64s) -> npt.NDArray[np.bool_]:
        """Return which of (n,) touches to take, in log order."""
        if self._wanted is None:
            return np.ones(time_ms.size, np.bool_)
        chosen = np.zeros(time_ms.size, np.bool_)
        # Never backwards: numbers ascend, and each of them is one piece.
        numbers = np.maximum(np.maximum.accumulate(time_ms // self._stretch_ms), self._number)
        starts = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1])[: numbers.size])
        lots = _uniform(event_id)
        for start, stop in pairwise([*starts.tolist(), numbers.size]):
            if numbers[start] != self._number:
                self._touches_before = self._touches
                self._number, self._touches, self._taken = int(numbers[start]), 0, 0
            share = min(1.0, self._wanted / max(self._touches_before, 1))
            lucky = start + np.flatnonzero(lots[start:stop] < share)
            lucky = lucky[: max(int(np.ceil(self._wanted)) - self._taken, 0)]
            chosen[lucky] = True
            self._touches += stop - start
            self._taken += lucky.size
        return chosen

    def state(self) -> list[int]:
        """Return the counts as plain numbers."""
        counts = [self._touches, self._taken, self._touches_before]
        return [self._number * self._stretch_ms, *counts, self._stretch_ms]

    def restore(self, state: list[int]) -> Self:
        """Take over counts; those of stretches of another length by what they tell of the pace."""
        # Earlier releases counted by the hour, and said which one.
        if len(state) == _BY_THE_HOUR:
            state = [state[0] * _HOUR_MS, *state[1:], _HOUR_MS]
        begin_ms, touches, taken, before, stretch_ms = map(int, state)
        if stretch_ms != self._stretch_ms:
            touches = before = max(touches, before) * self._stretch_ms // stretch_ms
            taken = 0
        self._number = begin_ms // self._stretch_ms
        self._touches, self._taken, self._touches_before = touches, taken, before
        return self


def _uniform(values: UInt64s) -> npt.NDArray[np.float64]:
    """Return numbers in [0, 1) out of hashes, with their bits mixed (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((values ^ (values >> np.uint64(31))) / 2.0**64)
