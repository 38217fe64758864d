"""Faust's consumer with record batches: placed fetches, checked ends, membership taken at assignment.

A consumer's own position cannot be trusted across Faust's pauses and seeks, rebalances and cancelled fetches.
So every fetch runs alone in the consumer's thread, is told where each partition must start, seeks there first
if the position differs, and reports where it ended.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import aiokafka
import faust
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.engine.membership import Membership
from streams.engine.partition import TopicPartition
from streams.engine.starting import PatientConsumer, PatientProducer
from streams.errors import EngineError

if TYPE_CHECKING:
    from streams.engine.runtime import Runtime

log = logging.getLogger(__name__)

_IDLE_S = 0.05


class Fetched(NamedTuple):
    """What one fetch brought of one partition.

    Parameters
    ----------
    records
        aiokafka's records, which have all that `Record` has, in log order; may be empty.
    end
        Position behind them, and behind whatever aborted or control records were passed.
    remaining
        Records from there to the last stable offset, as far as the consumer knows.
    """

    records: list[Any]
    end: int
    remaining: int | None


class RebalanceListener(driver.ConsumerRebalanceListener):
    """Takes generation and member id together, in the coordinator's assignment callback."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Note the membership under which the partitions are assigned, then hand over to Faust."""
        thread = cast("ConsumerThread", self._thread)
        coordinator = thread._ensure_consumer()._coordinator  # noqa: SLF001  # not offered in public
        thread.assignor.on_generation_assignment(coordinator.generation)
        cast("Consumer", thread.consumer).runtime.joined(
            Membership(
                coordinator.group_id,
                coordinator._group_instance_id,  # noqa: SLF001  # same
                coordinator.generation,
                coordinator.member_id,
            )
        )
        await super().on_partitions_assigned(assigned)


class StickyAssignor(StickyPartitionAssignor):  # type: ignore[misc]  # aiokafka is untyped
    """Sticky assignment that refuses to share out topics it knows nothing of.

    A leader that joins right after a broker's restart may have been told of no partitions yet. It would
    assign none to anybody, and the whole group would idle until the next rebalance.
    """

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> Any:
        """Share the partitions out.

        Raises
        ------
        EngineError
            The cluster has not told of a topic's partitions.
        """
        topics = {topic for member in members.values() for topic in member.subscription}
        unknown = sorted(topic for topic in topics if not cluster.partitions_for_topic(topic))
        if unknown:
            raise EngineError(f"the broker does not tell of {', '.join(unknown)} yet")
        return super().assign(cluster, members)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Runs an aiokafka consumer that reads committed and keeps its partitions where they are."""

    assignor: type[StickyPartitionAssignor]

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        # The assignor keeps what it owned in class attributes: a class of our own for each consumer.
        self.assignor = type("OwnStickyAssignor", (StickyAssignor,), {})
        conf = self.app.conf
        consumer = PatientConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self.assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            # Together these halve the broker's work at many partitions against one byte and 1,500 ms.
            fetch_min_bytes=1_000_000,
            fetch_max_wait_ms=50,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )
        consumer.start_deadline_s = cast("EngineApp", self.app).broker_wait_s
        return consumer

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leave livelock warnings to the engine's own metrics: Faust keeps no offsets for these topics."""

    async def fetch(
        self,
        starts: Mapping[TP, int],
        timeout: float,  # noqa: ASYNC109  # aiokafka's own parameter
    ) -> dict[TP, Fetched]:
        """Place every partition of `starts`, fetch, and report where each of them ended; runs in the thread.

        Raises
        ------
        OffsetOutOfRangeError
            The log does not hold a start.
        """
        consumer = self._ensure_consumer()
        subscription = consumer._subscription.subscription  # noqa: SLF001  # placing needs the real state
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or consumer._closed or consumer._fetcher._closed:  # noqa: SLF001
            return {}
        for tp, start in starts.items():
            state = assignment.state_value(tp)
            if state is not None and state._position != start:  # noqa: SLF001
                consumer.seek(tp, start)
        fetcher = consumer._fetcher  # noqa: SLF001
        with fetcher._subscriptions.fetch_context():  # noqa: SLF001
            try:
                records = await self._take(fetcher, starts, timeout)
            except NoOffsetForPartitionError:
                # Committed offsets are for lag tools only; the next fetch places the partition again.
                return {}
        now = consumer._subscription.subscription  # noqa: SLF001
        if now is None or now.assignment is not assignment:
            return {}
        fetched = {}
        for tp in starts:
            state = assignment.state_value(tp)
            if state is None or state._position is None:  # noqa: SLF001
                continue
            end = state._position  # noqa: SLF001
            stable = state.lso if state.lso is not None and state.lso >= 0 else state.highwater
            fetched[tp] = Fetched(records.get(tp, []), end, None if stable is None else max(0, stable - end))
        return fetched

    async def _take(self, fetcher: Any, starts: Mapping[TP, int], timeout: float) -> dict[TP, list[Any]]:  # noqa: ASYNC109
        """Take what has arrived of every partition, up to a batch each; wait where nothing has."""
        most = self.app.conf.broker_max_poll_records
        taken: dict[TP, list[Any]] = {}
        # One by one: asked for all at once, a backlog of one topic would keep the others waiting.
        for tp in starts:
            taken.update(await fetcher.fetched_records({tp}, timeout=0, max_records=most))
        return taken or await fetcher.fetched_records(set(starts), timeout=timeout, max_records=most)


class Consumer(driver.Consumer):
    """Yields one message for each fetched run of records of a partition."""

    RebalanceListener: ClassVar[type[RebalanceListener]] = RebalanceListener
    _thread: ConsumerThread

    @property
    def runtime(self) -> "Runtime":
        """The engine of this worker."""
        return cast("EngineApp", self.app).runtime

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109
        """Fetch what the engine may read now and yield one message per partition with records."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        # A membership that has failed would otherwise show in nothing but idleness.
        self._thread._ensure_consumer()._coordinator.check_errors()  # noqa: SLF001  # not offered in public
        runtime = self.runtime
        # Partitions whose stream buffer is full stay out, so that memory is bounded by the buffers.
        wanted = {
            TP(*p.source): p for p in runtime.readable() if TP(*p.source) not in self._buffered_partitions
        }
        if not wanted:
            await self.sleep(_IDLE_S)
            return
        lives = {tp: p.life for tp, p in wanted.items()}
        try:
            fetched = await self._thread.call_thread(
                self._thread.fetch, {tp: p.fetch_next for tp, p in wanted.items()}, min(timeout, 0.5)
            )
        except OffsetOutOfRangeError as error:
            await runtime.out_of_range({TopicPartition(*tp) for tp in error.args[0]})
            return
        if self.should_stop:
            return
        for tp, part in fetched.items():
            partition = wanted[tp]
            if partition.dropped or partition.life != lives[tp]:
                continue
            if part.remaining is not None:
                partition.log_end = max(partition.log_end, part.end + part.remaining)
                runtime.observer.lag(partition.source, partition.log_end - part.end)
            batch = partition.fetched(part.records, part.end, caught_up=part.remaining == 0)
            if batch is None:
                continue
            if not self.flow_active:
                # The stream will not take it; reading goes on from the state's position afterwards.
                partition.rewind()
                continue
            message: Any = self._to_message(tp, part.records[-1])
            message.key, message.value, message.headers = None, batch, []
            self._read_offset[tp] = None  # else Faust drops batches that it takes for old
            yield tp, message

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop reading, let Faust empty its buffers, then checkpoint once more before the worker rejoins."""
        self.runtime.freeze()
        await super().on_partitions_revoked(revoked)
        await self.runtime.revoked()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Let Faust take the assignment in, then restore and read."""
        await super().on_partitions_assigned(assigned, generation_id)
        self.runtime.assigned({TopicPartition(*tp) for tp in assigned})

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002  # Faust's signature
        """Do nothing: offsets are committed by the engine's transactions alone."""
        return False

    async def perform_seek(self) -> None:
        """Do nothing: every fetch places its partitions itself."""


class Producer(driver.Producer):
    """Faust's own producer, which sends nothing of ours; it must start all the same."""

    @property
    def _producer_type(self) -> type[PatientProducer]:
        return PatientProducer

    def _new_producer(self, transactional_id: str | None = None) -> PatientProducer:
        producer: PatientProducer = super()._new_producer(transactional_id)
        producer.start_deadline_s = cast("EngineApp", self.app).broker_wait_s
        return producer


class Transport(driver.Transport):
    """Faust's aiokafka transport with the clients above."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer


class EngineApp(faust.App):
    """A Faust app whose agents are fed by the engine.

    Attributes
    ----------
    broker_wait_s
        How long its clients wait at the start for a broker that is away.
    """

    runtime: "Runtime"
    broker_wait_s = 0.0

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    async def _stop_consumer(self) -> None:
        # Faust sends no revocation when it stops: the engine's own last checkpoint comes here.
        await self.runtime.stop()
        await super()._stop_consumer()
