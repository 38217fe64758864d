"""Drives the partitions of one worker: assignment, restore, batches, checkpoints, poison, stop."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from online_models.errors import CorruptStateError
from streams.engine.backpressure import Backpressure
from streams.engine.checkpoint import ClashError, Committer
from streams.engine.checkpointer import Checkpointer
from streams.engine.handler import Handler
from streams.engine.membership import Membership
from streams.engine.observer import Observer
from streams.engine.partition import Partition, RecordBatch, TopicPartition
from streams.engine.restore import RestoreCancelledError, Restorer
from streams.engine.settings import EngineSettings
from streams.engine.transactional_id import TransactionalId
from streams.engine.transport import EngineApp
from streams.engine.watchdog import Watchdog
from streams.errors import EngineError, FencedError

log = logging.getLogger(__name__)

_RESTORE_THREADS = 4
_MAX_POISONED_IN_A_ROW = 20
_REJOIN_S = (1.0, 2.0, 4.0, 8.0)
_FENCED_PRODUCER_LIMIT = 5


class AgentSpec(NamedTuple):
    """One agent: where it reads, where its state lies, and what handles a partition."""

    name: str
    source: str
    changelog: str
    handler: Callable[[int], Handler]


class Runtime:
    """The engine of one worker; made in, and running in, the app's event loop.

    Parameters
    ----------
    app
        The Faust app; its id is the consumer group.
    settings
        How to commit and when to give up.
    broker
        confluent-kafka settings that reach the broker.
    observer
        Told of everything measured.
    informed
        Whether the worker knows what its handlers go by; nothing is read before.
    clock_ms
        Wall clock, epoch milliseconds; used by the live clock only.
    """

    def __init__(
        self,
        app: EngineApp,
        settings: EngineSettings,
        broker: Mapping[str, str | int],
        *,
        observer: Observer | None = None,
        informed: Callable[[], bool] = lambda: True,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.app, self.settings, self.informed = app, settings, informed
        self.observer = observer or Observer()
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self._clock_ms = clock_ms
        self._agents: dict[str, AgentSpec] = {}
        self._partitions: dict[TopicPartition, Partition] = {}
        self._membership: Membership | None = None
        self._joined: Membership | None = None
        self._frozen, self._stopping = True, False
        self._fenced_in_a_row = 0
        self.transactional_id = TransactionalId(
            f"{app.conf.id}-{settings.instance}", settings.transactional_id_file
        )
        self._backpressure = Backpressure(
            settings.max_pending_records,
            settings.max_pending_bytes,
            interval_s=settings.checkpoint_interval_s,
            slow_s=settings.transaction_timeout_s / 4,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._restore_threads = ThreadPoolExecutor(_RESTORE_THREADS, "restore")
        self._checkpointer = Checkpointer(
            lambda: Committer(
                broker,
                self.transactional_id,
                transaction_timeout_s=settings.transaction_timeout_s,
                deadline_s=settings.commit_deadline_s,
                observer=self.observer,
            ),
            self._backpressure,
            call_deadline_s=settings.call_deadline_s,
        )
        self._restorer = Restorer(broker, settings.restore_deadline_s, settings.accept_gap, self.observer)
        app.runtime = self
        app.task(self._checkpoints)
        app.task(self._ticks)
        # Not a task of the app: Faust starts those only once its consumer has got somewhere.
        self._spawn(Watchdog(self, broker, settings).run())

    def agent(self, name: str, source: str, changelog: str, handler: Callable[[int], Handler]) -> None:
        """Feed the partitions of `source` to a handler each, whose state lies in `changelog`."""
        self._agents[source] = AgentSpec(name, source, changelog, handler)
        channel = self.app.topic(
            source,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            acks=False,  # offsets are kept by the engine
        )

        async def process(stream: Any) -> None:
            async for batch in stream:
                await self._process(name, batch)

        process.__name__ = name
        self.app.agent(channel, name=name)(process)

    # -- what may be read ---------------------------------------------------------------------------------

    def partitions(self) -> list[Partition]:
        """Return the partitions held now, restored or not."""
        return list(self._partitions.values())

    def readable(self) -> list[Partition]:
        """Return the partitions that may be fetched now: assigned, restored, not frozen."""
        may_read = self.informed() and not self._frozen
        return [p for p in self._partitions.values() if p.opened] if may_read else []

    @property
    def ready(self) -> bool:
        """Whether an assignment came and every partition of it is restored."""
        return not self._frozen and self._membership is not None and all(p.opened for p in self.partitions())

    @property
    def joining(self) -> bool:
        """Whether the worker waits for the group to admit it, to rebalance or to assign it anew."""
        return self._frozen or self._membership is None

    @property
    def membership(self) -> Membership | None:
        """The membership under which partitions are held now."""
        return self._membership

    # -- assignment ---------------------------------------------------------------------------------------

    def joined(self, membership: Membership) -> None:
        """Note the membership; called in the consumer's thread, in the coordinator's callback."""
        self._joined = membership

    def freeze(self) -> None:
        """Stop applying: a rebalance has begun."""
        self._frozen = True

    async def revoked(self) -> None:
        """Checkpoint once more before the worker rejoins; drop everything where that does not succeed."""
        if self._stopping:
            return
        await self._last_checkpoint(self.settings.revoke_deadline_s, "revocation")

    def assigned(self, assigned: set[TopicPartition]) -> None:
        """Take an assignment in: keep what stayed ours without a break, restore the rest."""
        if self._stopping:
            return
        joined, self._frozen = self._joined, False
        if joined is None or not joined.may_commit:
            log.warning("assignment without a valid membership: %s", joined)
            self._drop_all()
            return
        owned = {tp for tp in assigned if tp.topic in self._agents}
        unbroken = joined.continues(self._membership)
        for partition in self.partitions():
            if partition.source in owned and unbroken:
                partition.rewind()
            else:
                self._drop(partition)
        self._membership = joined
        fresh = owned - set(self._partitions)
        log.info(
            "generation %d: %d partitions, %d of them to be restored",
            *(joined.generation, len(owned), len(fresh)),
            extra={"generation": joined.generation, "partitions": len(owned), "restoring": len(fresh)},
        )
        for source in fresh:
            self._open(source)

    def _drop(self, partition: Partition) -> None:
        partition.drop()
        self._partitions.pop(partition.source, None)
        self.observer.dropped(partition.source)

    def _drop_all(self) -> None:
        self._membership = None
        for partition in self.partitions():
            self._drop(partition)
        self._backpressure.taken()

    def _open(self, source: TopicPartition) -> Partition:
        spec = self._agents[source.topic]
        partition = Partition(source, spec.changelog, spec.handler(source.partition))
        self._partitions[source] = partition
        self._spawn(self._restore(partition))
        return partition

    async def _restore(self, partition: Partition) -> None:
        try:
            await self._checkpointer.open()
            if partition.dropped:
                return
            loop = asyncio.get_running_loop()
            position = await loop.run_in_executor(self._restore_threads, self._restorer.restore, partition)
        except RestoreCancelledError:
            return
        except FencedError as error:
            self._fenced(error)
            return
        if not partition.dropped:
            partition.open(position)

    # -- work ---------------------------------------------------------------------------------------------

    async def _process(self, name: str, batch: RecordBatch) -> None:
        """Apply one batch, unless it is void or does not continue the last applied one."""
        partition = batch.partition
        await self._backpressure.wait_for_room()
        if self._frozen or not batch.current:
            return
        if batch.start != partition.position:
            log.info("%s: batch starts at %d, state at %d", partition.source, batch.start, partition.position)
            self.observer.rewound(partition.source)
            partition.rewind()
            return
        began = time.monotonic()
        for records, end in partition.pieces(batch):
            poison = partition.poisoned.get(records[0].offset)
            try:
                if poison is None:
                    outputs = partition.handler.apply(records)
                else:
                    outputs = partition.handler.poison(records[0], poison)
                    self.observer.poisoned(name)
            except Exception as error:  # noqa: BLE001  # whatever a handler raises, its state is half applied
                if poison is not None:
                    self.fail(EngineError(f"{partition.source}: offset {records[0].offset} raised {error!r}"))
                else:
                    self._failed_in_apply(name, batch, [r.offset for r in records], error)
                return
            partition.applied(len(records), outputs, end)
        self.observer.applied(name, len(batch.records), time.monotonic() - began)
        self._backpressure.grown(self._partitions.values())

    def _failed_in_apply(self, name: str, batch: RecordBatch, offsets: list[int], error: Exception) -> None:
        """Throw the half-applied state away and restore; replay the batch record by record."""
        partition = batch.partition
        self.observer.failed(name)
        if isinstance(error, EngineError | CorruptStateError):
            self.fail(EngineError(f"{partition.source}: {error}"))
            return
        log.error(
            "%s: applying offsets %d to %d raised", partition.source, offsets[0], offsets[-1], exc_info=error
        )
        poisoned = dict(partition.poisoned)
        if partition.suspect is not None and len(offsets) == 1:
            poisoned[offsets[0]] = error
        if len(poisoned) >= _MAX_POISONED_IN_A_ROW:
            self.fail(EngineError(f"{name}: {len(poisoned)} records in a row raised, last {error!r}"))
            return
        self._drop(partition)
        fresh = self._open(partition.source)
        fresh.suspect = (batch.start, max(batch.end, (partition.suspect or (0, 0))[1]))
        fresh.poisoned = poisoned

    async def out_of_range(self, sources: Iterable[TopicPartition]) -> None:
        """Handle a fetch the log could not serve: check whether the position is really gone."""
        for source in sources:
            partition = self._partitions.get(source)
            if partition is None or not partition.opened:
                continue
            # A restore compares the position with the log's ends, and says what is lost.
            log.warning("%s: the log does not serve offset %d", source, partition.fetch_next)
            await self.checkpoint()
            if not partition.dropped:
                self._drop(partition)
                self._open(source)

    async def _ticks(self) -> None:
        """Tell partitions that have read to the end the time; a live clock advances by it."""
        while not self._stopping:
            await asyncio.sleep(1.0)
            now = self._clock_ms()
            for partition in self.readable():
                idle = partition.position == partition.issued_end == partition.fetch_next
                if partition.caught_up and idle and self._backpressure.has_room:
                    outputs = [*partition.handler.idle(now)]
                    if self.settings.live_clock:
                        outputs += partition.handler.tick(now)
                    partition.add_outputs(outputs)
                    partition.moved |= bool(outputs)

    # -- checkpoints --------------------------------------------------------------------------------------

    async def _checkpoints(self) -> None:
        while not self._stopping:
            await self._backpressure.wait_until_due()
            if not self._frozen:
                await self.checkpoint()

    async def checkpoint(self) -> None:
        """Commit what moved since the last checkpoint, in one transaction."""
        try:
            committed = await self._checkpointer.checkpoint(lambda: (self._membership, self.partitions()))
        except FencedError as error:
            self._fenced(error)
        except Exception as error:  # noqa: BLE001  # a checkpoint that cannot be written ends the worker
            self.fail(error)
        else:
            self._fenced_in_a_row = 0 if committed else self._fenced_in_a_row

    async def _last_checkpoint(self, deadline_s: float, occasion: str) -> None:
        """Checkpoint within a deadline; after it everything is dropped, the commit goes on under its lock.

        The commit is never cancelled: whoever restores next waits for the lock, and so for its outcome.
        """
        commit = asyncio.ensure_future(self.checkpoint())
        _, late = await asyncio.wait({commit}, timeout=deadline_s)
        if late:
            log.warning("no checkpoint within %.0f s at %s", deadline_s, occasion)
            self._drop_all()

    def _fenced(self, error: FencedError) -> None:
        """Drop everything and wait for the next assignment; a clash of instance names ends the worker."""
        self.observer.fenced(type(error).__name__)
        self._drop_all()
        if self._stopping:
            return
        self._fenced_in_a_row += 1
        if isinstance(error, ClashError) or self._fenced_in_a_row > _FENCED_PRODUCER_LIMIT:
            self.fail(
                EngineError(
                    f"instance {self.settings.instance!r} is used by another worker as well ({error}); "
                    "give each worker its own --instance"
                )
            )
            return
        log.warning("dropped all partitions: %s", error)
        self._spawn(self._adopt_again(self._joined, self._fenced_in_a_row))

    async def _adopt_again(self, joined: Membership | None, tries: int) -> None:
        """Restore what the group still counts as ours where no rebalance follows."""
        await asyncio.sleep(_REJOIN_S[min(tries, len(_REJOIN_S)) - 1])
        if self._frozen or self._stopping or self._membership is not None or self._joined is not joined:
            return
        self.assigned({TopicPartition(*tp) for tp in self.app.consumer.assignment()})

    # -- the end ------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self.fail(error)

        task.add_done_callback(done)

    def fail(self, error: BaseException) -> None:
        """Stop the worker for a reason that trying again does not mend; nothing half done is committed."""
        if self.failure is not None or self._stopping:
            return
        log.error("stopping: %s", error, exc_info=None if isinstance(error, EngineError) else error)
        self.failure = error
        self._drop_all()
        self.failed.set()

    async def stop(self) -> None:
        """Checkpoint what was applied and let go; called before Faust stops its consumer."""
        if self._stopping:
            return
        self._frozen = True
        if self.failure is None:
            await self._last_checkpoint(self.settings.stop_deadline_s, "stop")
        self._stopping = True
        self._drop_all()
        for task in list(self._tasks):
            task.cancel()
        self._restore_threads.shutdown(wait=False, cancel_futures=True)
        self._checkpointer.close()
