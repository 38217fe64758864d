"""Holds applying back while too much waits for a checkpoint, and calls for one at once."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from streams.engine.partition import Partition


class Backpressure:
    """Bounds the memory of pending work.

    Parameters
    ----------
    max_records
        Applied records (each may leave a dirty row or two) above which applying waits.
    max_bytes
        Bytes of outputs above which applying waits.
    """

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self._room = asyncio.Event()
        self._room.set()
        self._full = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether more may be applied."""
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        """Return once more may be applied."""
        await self._room.wait()

    async def wait_until_full(self, seconds: float) -> None:
        """Return when a checkpoint is called for, or after a time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._full.wait(), seconds)

    def grown(self, partitions: Iterable[Partition]) -> None:
        """Take note of what waits now."""
        records = size = 0
        for partition in partitions:
            records += partition.pending_records
            size += partition.output_bytes
        if records >= self._max_records or size >= self._max_bytes:
            self._room.clear()
            self._full.set()

    def taken(self) -> None:
        """Go on: a checkpoint has taken what waited, or it was dropped."""
        self._full.clear()
        self._room.set()
