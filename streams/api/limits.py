"""How much one address may ask of the server: a bucket of tokens for each, refilled steadily."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from online_models.errors import InvalidParameterError

_ADDRESSES: Final = 10_000
"""Addresses remembered; the one that has been silent for longest is forgotten, with a full bucket."""


class RateLimit:
    """A token bucket for every address: so many requests a second, twice as many at once.

    Parameters
    ----------
    per_second
        Requests a second that an address may go on asking; 0 for no limit.
    clock
        Monotonic time, seconds.

    Raises
    ------
    InvalidParameterError
        If the rate is negative.

    Examples
    --------
    >>> limit = RateLimit(1, clock=lambda: 0.0)
    >>> [limit.wait_s("10.0.0.7") for _ in range(3)]
    [0.0, 0.0, 1.0]
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        if per_second < 0:
            raise InvalidParameterError(f"per_second must not be negative, got {per_second}")
        self._rate, self._clock = per_second, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Count a request of an address; return 0, or for how many seconds it has to wait instead."""
        if not self._rate:
            return 0.0
        now = self._clock()
        tokens, seen = self._buckets.pop(address, (2 * self._rate, now))
        tokens = min(2 * self._rate, tokens + (now - seen) * self._rate)
        allowed = tokens >= 1
        self._buckets[address] = (tokens - allowed, now)
        if len(self._buckets) > _ADDRESSES:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._rate
