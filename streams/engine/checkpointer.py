"""Runs the checkpoints of a worker one at a time, in a thread of their own, at the pace the broker allows."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from streams.engine.backpressure import Backpressure
from streams.engine.checkpoint import Committer, Work
from streams.engine.membership import Membership
from streams.engine.partition import Partition
from streams.errors import FencedError

log = logging.getLogger(__name__)

_LOOK_S = 1.0


class Checkpointer:
    """One checkpoint after the other; whoever waits for its turn knows the outcome of the one before.

    Parameters
    ----------
    committer
        Makes what writes the transactions; called again where a client call hangs.
    pace
        Says when a checkpoint is due.
    call_deadline_s
        After this a call of the Kafka client counts as hanging, seconds. librdkafka's
        `send_offsets_to_transaction` ignores its timeout when a broker restarts amid the call
        (its issue 5456).
    """

    def __init__(
        self, committer: Callable[[], Committer], pace: Backpressure, *, call_deadline_s: float
    ) -> None:
        self._make, self.pace, self._call_deadline_s = committer, pace, call_deadline_s
        self._lock = asyncio.Lock()
        self._committer = committer()
        self._thread = _thread()

    async def open(self) -> None:
        """Make the producer ready once no commit is under way: no fence helps against oneself.

        Raises
        ------
        FencedError, CommitError
            As `Committer.open` does.
        """
        async with self._lock:
            if not self._committer.is_open:
                await self._call(self._committer.open)

    async def checkpoint(self, held: Callable[[], tuple[Membership | None, Sequence[Partition]]]) -> bool:
        """Commit what moved since the last checkpoint, and return whether anything did.

        Parameters
        ----------
        held
            Asked, once it is our turn, for the membership and the partitions held under it.

        Raises
        ------
        FencedError, CommitError
            As `Committer.commit` does; what a handler raises while it encodes its rows.
        """
        async with self._lock:
            membership, partitions = held()
            moved = [p for p in partitions if p.opened and p.moved]
            if not moved or membership is None:
                self.pace.taken()
                return False
            work = [
                Work(p.source, p.changelog, p.take_outputs(), p.handler.dirty_rows(), p.position)
                for p in moved
            ]
            self.pace.taken()
            began = time.monotonic()
            try:
                await self._call(self._committer.commit, work, membership)
            finally:
                self.pace.committed(time.monotonic() - began)
            return True

    async def _call(self, call: Callable[..., None], *args: object) -> None:
        future = asyncio.get_running_loop().run_in_executor(self._thread, call, *args)
        while not (await asyncio.wait({future}, timeout=_LOOK_S))[0]:
            if self._committer.call_s > self._call_deadline_s:
                self._replace()
                raise FencedError(f"the Kafka client has hung for {self._call_deadline_s:.0f} s in one call")
        future.result()

    def _replace(self) -> None:
        """Leave the hanging client to itself; its successor settles what became of the transaction."""
        log.warning("the Kafka client hangs, starting another one")
        self._committer.abandon()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._committer, self._thread = self._make(), _thread()

    def close(self) -> None:
        """Let go; an open transaction is left to the next holder of the transactional id."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._committer.close()


def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "commit")
