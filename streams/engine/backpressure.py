"""Sets the pace of checkpoints, and holds applying back while too much waits for one."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from streams.engine.partition import Partition

_CALL_AT: Final = 0.5
_SLOWER: Final = 0.5
_FASTER: Final = 1.25
_LEAST: Final = 1 / 64


class Backpressure:
    """Bounds the memory of pending work and the size of a transaction.

    A checkpoint begins an interval after the last one began, but no sooner after its end than it took, so
    that commits take at most half of the time; or as soon as half of a bound is reached. At the bound
    applying waits. Commits slower than `slow_s` halve the bounds in force, fast ones let them grow again: a
    slow broker is given transactions that it can finish in time.

    Parameters
    ----------
    max_records
        Applied records (each may leave a dirty row or two) above which applying waits.
    max_bytes
        Bytes of outputs above which applying waits.
    interval_s
        Shortest time from the beginning of a checkpoint to that of the next, seconds.
    slow_s
        Time of a commit above which transactions are made smaller, seconds.

    Examples
    --------
    >>> pace = Backpressure(1000, 10**6, interval_s=0.1, slow_s=2.0)
    >>> pace.committed(0.02), pace.pause_s, pace.share
    (None, 0.08, 1.0)
    >>> pace.committed(5.0), pace.pause_s, pace.share
    (None, 5.0, 0.5)
    """

    def __init__(
        self, max_records: int, max_bytes: int, *, interval_s: float = 0.1, slow_s: float = 2.5
    ) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self._interval_s, self._slow_s = interval_s, slow_s
        self._room = asyncio.Event()
        self._room.set()
        self._due = asyncio.Event()
        self.share = 1.0
        """Share of the bounds in force now."""
        self.pause_s = interval_s
        """Time from the end of a checkpoint to the next one unless much waits, seconds."""

    @property
    def has_room(self) -> bool:
        """Whether more may be applied."""
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        """Return once more may be applied."""
        await self._room.wait()

    async def wait_until_due(self) -> None:
        """Return when a checkpoint is due."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._due.wait(), self.pause_s)

    def grown(self, partitions: Iterable[Partition]) -> None:
        """Take note of what waits now."""
        records = size = 0
        for partition in partitions:
            records += partition.pending_records
            size += partition.output_bytes
        filled = max(records / self._max_records, size / self._max_bytes) / self.share
        if filled >= _CALL_AT:
            self._due.set()
        if filled >= 1:
            self._room.clear()

    def taken(self) -> None:
        """Go on: a checkpoint has taken what waited, or it was dropped."""
        self._due.clear()
        self._room.set()

    def committed(self, seconds: float) -> None:
        """Take note of how long a commit took, whatever came of it."""
        self.pause_s = max(self._interval_s - seconds, seconds)
        if seconds > self._slow_s:
            self.share = max(_LEAST, self.share * _SLOWER)
        elif seconds < self._slow_s / 2:
            self.share = min(1.0, self.share * _FASTER)
