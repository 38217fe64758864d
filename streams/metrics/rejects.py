"""The share of rejected events lately: what tells a broken producer."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_S: Final = 300.0
_STEP_S: Final = 5.0


class RecentRejects:
    """Events and rejects of the last five minutes, summed up in short steps.

    Parameters
    ----------
    clock
        Monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps: deque[list[float]] = deque()
        self._lock = threading.Lock()

    def add(self, events: int, rejected: int) -> None:
        """Count events of this moment, and how many of them were rejected."""
        with self._lock:
            now = self._clock()
            if not self._steps or now - self._steps[-1][0] >= _STEP_S:
                self._steps.append([now, 0, 0])
            self._steps[-1][1] += events
            self._steps[-1][2] += rejected

    def events(self) -> float:
        """Return the number of events in the window."""
        return self._sums()[0]

    def ratio(self) -> float:
        """Return the rejected share of them; 0 when there were none."""
        events, rejected = self._sums()
        return rejected / events if events else 0.0

    def _sums(self) -> tuple[float, float]:
        with self._lock:
            while self._steps and self._clock() - self._steps[0][0] > _WINDOW_S:
                self._steps.popleft()
            return sum(step[1] for step in self._steps), sum(step[2] for step in self._steps)
