"""Accepted events on their way into their users' rows: a tick that does not look at them need not wait.

What a numpy call costs hardly depends on how many events it is about. Where event time runs fast (a log is
replayed), a tick lies between every few events, yet it looks at few users; events of others are applied
later, many at once, and all that comes of them is the same.
"""

from typing import Final, NamedTuple

import numpy as np

from online_models.clock import NEVER
from online_models.events import EventBatch, Int64s

_NONE: Final = np.zeros(0, np.int64)


class Taken(NamedTuple):
    """Events to be applied.

    Parameters
    ----------
    events, chosen, numbers
        A batch, (n,) which of its events, in log order, and the rows of their users.
    next_tick_ms
        (n,) the tick that followed each of them.
    """

    events: EventBatch
    chosen: Int64s
    numbers: Int64s
    next_tick_ms: Int64s


class Deferred:
    """Events of one batch that wait to be applied.

    Attributes
    ----------
    soonest_ms
        Before it none of their users is due; `NEVER` where nothing waits.
    oldest_ms
        The earliest of their times, `NEVER` where nothing waits.
    next_tick_ms
        The tick that followed the latest of them.
    """

    def __init__(self) -> None:
        self._events: EventBatch | None = None
        self._index: list[Int64s] = []
        self._numbers: list[Int64s] = []
        self._ticks: list[int] = []
        self.soonest_ms = self.oldest_ms = NEVER
        self.next_tick_ms = 0

    def __bool__(self) -> bool:
        """Return whether events wait."""
        return bool(self._index)

    @property
    def numbers(self) -> Int64s:
        """The rows of their users, with repeats."""
        return np.concatenate([_NONE, *self._numbers])

    def add(
        self, events: EventBatch, index: Int64s, numbers: Int64s, soonest_ms: int, next_tick_ms: int
    ) -> None:
        """Let events wait; all that wait at a time are of one batch.

        Parameters
        ----------
        events, index, numbers
            The batch, (n,) which of its events, and the rows of their users.
        soonest_ms
            When the first of the users might be due.
        next_tick_ms
            The tick that follows them.
        """
        self._events, self.next_tick_ms = events, next_tick_ms
        self._ticks.append(next_tick_ms)
        self._index.append(index)
        self._numbers.append(numbers)
        self.soonest_ms = min(self.soonest_ms, soonest_ms)
        self.oldest_ms = min(self.oldest_ms, int(events.time[index].min()))

    def take(self) -> Taken | None:
        """Return what waits, and wait for nothing any more; None where nothing does."""
        events = self._events
        if events is None:
            return None
        ticks = np.repeat(np.array(self._ticks, np.int64), [index.size for index in self._index])
        taken = Taken(events, np.concatenate(self._index), self.numbers, ticks)
        self._events, self._index, self._numbers, self._ticks = None, [], [], []
        self.soonest_ms = self.oldest_ms = NEVER
        return taken
