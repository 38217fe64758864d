"""The event-time clock of one partition: when ticks run, between which events.

A tick at T runs once an event later than T is seen, and before that event is applied.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from online_models import snapshots
from online_models.errors import InvalidParameterError
from online_models.events import Int64s

NEVER: Final = 2**62
"""A time that never comes."""


class PartitionClock:
    """The largest event time seen by a partition, and its fixed grid of ticks.

    Parameters
    ----------
    tick_ms
        Distance of the grid points, milliseconds.

    Attributes
    ----------
    now_ms
        The largest time seen; -1 before the first.
    next_tick_ms
        The first grid point whose tick has not run; 0 before the first event.

    Raises
    ------
    InvalidParameterError
        When `tick_ms` is below 1.

    Examples
    --------
    >>> clock = PartitionClock(10)
    >>> list(clock.split(np.array([12, 25, 31]), lambda: 0))
    [(0, 1, None), (1, 1, 20), (1, 2, None), (2, 2, 30), (2, 3, None)]
    """

    def __init__(self, tick_ms: int) -> None:
        if tick_ms < 1:
            raise InvalidParameterError(f"tick_ms must be at least 1, got {tick_ms}")
        self.tick_ms = tick_ms
        self.now_ms = -1
        self.next_tick_ms = 0

    def split(self, times: Int64s, next_due: Callable[[], int]) -> Iterator[tuple[int, int, int | None]]:
        """Cut events in log order at the ticks between them.

        Parameters
        ----------
        times
            (n,) event times in log order, epoch milliseconds, in any order.
        next_due
            Returns the time of the earliest pending work (`NEVER` for none). Asked anew before every tick;
            grid points before it are passed over.

        Yields
        ------
        tuple
            ``(start, stop, None)``: apply these events; ``(stop, stop, tick_ms)``: run this tick.
        """
        start, count = 0, len(times)
        latest = np.maximum.accumulate(np.maximum(times, self.now_ms))
        while start < count:
            if self.now_ms < 0:
                self.next_tick_ms = self._ceil(int(times[start]))
            stop = int(np.searchsorted(latest, self.next_tick_ms, side="right"))
            if stop > start:
                self.now_ms = int(latest[stop - 1])
                yield start, stop, None
                start = stop
            if start < count:
                for tick_ms in self._ticks(int(latest[start]), next_due):
                    yield start, start, tick_ms
                self.next_tick_ms = max(self.next_tick_ms, self._ceil(int(latest[start])))

    def advance(self, now_ms: int, next_due: Callable[[], int]) -> Iterator[int]:
        """Move the clock without an event (live clock) and yield the ticks that are due before `now_ms`.

        Parameters
        ----------
        now_ms
            Wall clock, epoch milliseconds. A time in the past, or before the first event, changes nothing.
        next_due
            As in `split`.
        """
        if self.now_ms < 0 or now_ms <= self.now_ms:
            return
        yield from self._ticks(now_ms, next_due)
        self.now_ms = max(self.now_ms, now_ms)
        self.next_tick_ms = max(self.next_tick_ms, self._ceil(now_ms))

    def pack(self) -> bytes:
        """Return the clock's state."""
        return snapshots.pack("clock", 1, {"now": self.now_ms, "next_tick": self.next_tick_ms})

    def unpack(self, data: bytes) -> None:
        """Take over a state returned by `pack`; the next tick moves on to this clock's grid.

        Raises
        ------
        CorruptStateError
            When the bytes are something else.
        """
        with snapshots.reading("clock"):
            state = snapshots.unpack("clock", 1, data)
            self.now_ms, self.next_tick_ms = (
                operator.index(state["now"]),
                self._ceil(operator.index(state["next_tick"])),
            )

    def _ticks(self, before_ms: int, next_due: Callable[[], int]) -> Iterator[int]:
        while (tick_ms := self._ceil(max(self.next_tick_ms, next_due()))) < before_ms:
            # The tick counts as run from here on: what it schedules lies behind it.
            self.next_tick_ms = tick_ms + self.tick_ms
            self.now_ms = max(self.now_ms, tick_ms)
            yield tick_ms

    def _ceil(self, time_ms: int) -> int:
        return -(-time_ms // self.tick_ms) * self.tick_ms
