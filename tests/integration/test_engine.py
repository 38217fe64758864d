"""The engine on real brokers, one situation of its contract at a time."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import pytest
from confluent_kafka import Producer, TopicPartition

from online_models.items.names import NAME_KEY
from online_models.items.settings import CooccurrenceSettings
from online_models.journal import Journal
from streams.agents.items import ItemsHandler
from streams.agents.report import Report
from streams.engine.checkpoint import Work
from streams.engine.group import leave
from streams.engine.handler import Output, Record
from streams.engine.membership import Membership
from streams.engine.probe import check_alone, probe
from streams.engine.restore import POSITION_KEY, encode_position
from streams.errors import BrokerUnavailableError, CorruptChangelogError, EngineError, PositionLostError
from tests.chaos.counting import Items
from tests.integration.bench import Bench, counts, only, until
from tests.integration.kafka import KafkaServer

pytestmark = pytest.mark.timeout(240)


class TestReading:
    async def test_the_first_start_without_a_position_reads_the_log_from_its_start(self, bench):
        bench.send(50)
        runtime = await bench.start()
        await until(lambda: runtime.partitions() and only(runtime).position >= 50, "50 records")
        await bench.stop(runtime)
        assert len(bench.outputs()) == 50

    async def test_a_restart_reads_on_from_the_position_in_the_changelog(self, bench):
        bench.send(50)
        runtime = await bench.start()
        await until(lambda: runtime.partitions() and only(runtime).position >= 50, "50 records")
        await bench.stop(runtime)
        bench.send(20, first=50)
        runtime = await bench.start()
        await until(lambda: runtime.partitions() and only(runtime).position >= 70, "70 records")
        await bench.stop(runtime)
        assert len(bench.outputs()) == 70

    async def test_an_aborted_tail_is_passed_once_and_not_fetched_for_ever(self, bench):
        bench.send(10)
        producer = Producer({**bench.config, "transactional.id": bench.group})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(f"{bench.group}-mid", b"99", "never", 0)
        producer.flush(10)
        producer.abort_transaction(30)
        runtime = await bench.start()
        await until(
            lambda: runtime.partitions() and only(runtime).fetch_next == bench.end(), "the end of the log"
        )
        assert only(runtime).caught_up
        bench.send(5, first=10)
        await until(lambda: "never" not in only(runtime).handler.counts
                    and sum(only(runtime).handler.counts.values()) == 15, "15 records")  # fmt: skip
        await bench.stop(runtime)
        assert len(bench.outputs()) == 15

    async def test_a_batch_that_does_not_continue_the_state_rewinds_the_partition(self, bench):
        bench.send(30)
        runtime = await bench.start()
        await until(lambda: runtime.partitions() and only(runtime).position >= 30, "30 records")
        partition = only(runtime)
        partition.fetch_next = partition.issued_end = 10  # as if a seek from outside had moved the consumer
        bench.send(5, first=30)
        await until(lambda: partition.position >= 35, "35 records")
        await bench.stop(runtime)
        assert counts(runtime).rewinds >= 1
        assert sorted(bench.outputs()) == sorted(set(bench.outputs()))
        assert len(bench.outputs()) == 35


class TestLostLog:
    async def test_a_trimmed_log_stops_the_worker_with_both_offsets(self, on_kafka):
        bench = on_kafka
        bench.send(40)
        runtime = await bench.start()
        await until(lambda: runtime.partitions() and only(runtime).position >= 40, "40 records")
        await bench.stop(runtime)
        bench.send(30, first=40)
        topic = f"{bench.group}-mid"
        for future in bench.admin.delete_records([TopicPartition(topic, 0, 55)]).values():
            future.result(30)
        runtime = await bench.start()
        await until(runtime.failed.is_set, "a refusal")
        assert isinstance(runtime.failure, PositionLostError)
        assert f"{topic}[0]: state stands at offset 40, but the log holds 55 to 70" in str(runtime.failure)
        await bench.stop(runtime)

        told = await bench.start(accept_gap=True)
        await until(lambda: told.partitions() and only(told).position >= 70, "the rest")
        assert counts(told).gaps == 15
        await bench.stop(told)
        assert len(bench.outputs()) == 40 + 15

    async def test_a_log_that_lost_its_tail_stops_the_worker(self, bench):
        bench.send(40)
        runtime = await bench.start()
        await until(lambda: runtime.partitions() and only(runtime).position >= 40, "40 records")
        await bench.stop(runtime)
        # A position beyond the end is what a broker leaves behind that forgot its last records.
        producer = Producer(bench.config)
        producer.produce(f"{bench.group}-items-changelog", encode_position(1_000), POSITION_KEY, 0)
        assert producer.flush(30) == 0
        runtime = await bench.start()
        await until(runtime.failed.is_set, "a refusal")
        assert "state stands at offset 1000" in str(runtime.failure)
        assert "lost the log's end" in str(runtime.failure)


async def test_a_restore_waits_for_a_transaction_whose_fate_is_not_written_yet(on_kafka):
    """A former owner may have been told that it is committed before its markers are in the log."""
    bench = on_kafka
    bench.send(10)
    former = Producer({**bench.config, "transactional.id": f"{bench.group}-former"})
    former.init_transactions(30)
    former.begin_transaction()
    former.produce(f"{bench.group}-items-changelog", encode_position(7), POSITION_KEY, 0)
    assert former.flush(30) == 0
    runtime = await bench.start()
    await until(runtime.partitions, "an assignment")
    with pytest.raises(TimeoutError):
        await until(lambda: runtime.ready, "nothing", deadline_s=3)
    former.commit_transaction(30)
    await until(lambda: runtime.ready and only(runtime).position >= 10, "the rest")
    await bench.stop(runtime)
    assert len(bench.outputs()) == 3


async def test_a_damaged_record_between_agents_stops_the_worker_with_topic_partition_and_offset(bench):
    bench.send(1)
    handler = ItemsHandler(CooccurrenceSettings(), 0, f"{bench.group}-iout", Report())
    runtime = await bench.start(lambda _: handler)
    await until(runtime.failed.is_set, "a refusal")
    assert f"{bench.group}-mid[0]: record at offset 0: " in str(runtime.failure)
    await bench.stop(runtime)
    assert bench.outputs() == []


class TestCorruptChangelog:
    """Refused with its position, never half loaded."""

    def write(self, bench, *rows) -> None:
        producer = Producer(bench.config)
        for key, value in rows:
            producer.produce(f"{bench.group}-items-changelog", value, key, 0)
        assert producer.flush(30) == 0

    async def refusal(self, bench) -> BaseException:
        handler = ItemsHandler(CooccurrenceSettings(), 0, f"{bench.group}-iout", Report())
        runtime = await bench.start(lambda _: handler)
        await until(runtime.failed.is_set, "a refusal")
        assert runtime.partitions() == [], "nothing half loaded is kept"
        await bench.stop(runtime)
        assert isinstance(runtime.failure, CorruptChangelogError)
        return runtime.failure

    async def test_a_damaged_row_stops_the_worker_with_topic_partition_offset_and_key(self, bench):
        rows = Journal().seal([(NAME_KEY + bytes(7) + bytes([n]), b"sku-%d" % n) for n in range(5)])
        rows[3] = (rows[3][0], rows[3][1].replace(b"sku-2", b"sku-9"))
        self.write(bench, *rows, (POSITION_KEY, encode_position(0)))
        said = str(await self.refusal(bench))
        assert said.startswith(f"{bench.group}-items-changelog[0], offset 3, key {rows[3][0]!r}: ")
        assert "its checksum does not fit" in said

    async def test_a_row_that_was_replaced_right_after_stops_nobody(self, bench):
        rows = Journal().seal([(NAME_KEY + bytes(8), b"sku-1")])
        self.write(bench, rows[0], (rows[1][0], b"damaged"), rows[1], (POSITION_KEY, encode_position(0)))
        runtime = await bench.start(
            lambda p: ItemsHandler(CooccurrenceSettings(), p, f"{bench.group}-iout", Report())
        )
        await until(lambda: runtime.ready, "readiness")
        await bench.stop(runtime)

    async def test_a_damaged_position_is_named_by_its_offset(self, bench):
        self.write(bench, (POSITION_KEY, encode_position(0)), (POSITION_KEY, encode_position(7)[:-1] + b"!"))
        assert "[0], offset 1, key b'\\x00position': " in str(await self.refusal(bench))

    async def test_state_without_a_position_is_part_of_a_copy(self, bench):
        self.write(bench, *Journal().seal([(NAME_KEY + bytes(8), b"sku-1")]))
        said = str(await self.refusal(bench))
        assert (
            f"{bench.group}-items-changelog[0]: state cannot be loaded: 2 rows of state and no position"
            in said
        )


class TestApplying:
    async def test_an_exception_drops_the_half_applied_state_and_restores_it(self, bench):
        raised = threading.Event()

        class Stumbling(Items):
            def apply(self, records: Sequence[Record]) -> Sequence[Output]:
                outputs = super().apply(records)  # the state has changed when it raises
                if not raised.is_set():
                    raised.set()
                    raise RuntimeError("stumbled once")
                return outputs

        bench.send(25)
        runtime = await bench.start(lambda p: Stumbling(bench.group, p, 1))
        await until(lambda: runtime.partitions() and only(runtime).position >= 25, "25 records")
        await bench.stop(runtime)
        assert counts(runtime).restores == 2
        assert len(set(bench.outputs())) == len(bench.outputs()) == 25
        assert bench.values("dlq") == []

    async def test_a_restore_waits_for_the_outcome_of_a_commit_in_flight(self, bench):
        """The partition is dropped while its commit is under way: the restore must see what it committed."""
        runtime = await bench.start()
        await until(lambda: runtime.ready, "readiness")
        inside, go_on = threading.Event(), threading.Event()
        commit = runtime._checkpointer._committer.commit

        def held(work: Sequence[Work], membership: Membership) -> None:
            inside.set()
            assert go_on.wait(30)
            commit(work, membership)

        runtime._checkpointer._committer.commit = held
        bench.send(30)
        await until(inside.is_set, "a commit in flight")
        first = only(runtime)
        runtime._drop(first)
        again = runtime._open(first.source)
        await asyncio.sleep(0.3)  # were it not to wait, it would have restored long since
        assert not again.opened
        go_on.set()
        await until(lambda: again.opened and again.position >= 30, "the restore")
        assert sum(again.handler.counts.values()) == 30
        await bench.stop(runtime)
        assert len(set(bench.outputs())) == len(bench.outputs()) == 30


class TestProbe:
    def test_the_embedded_broker_is_good_for_one_worker(self, embedded_broker, tmp_path):
        bench = Bench(embedded_broker.bootstrap_servers, tmp_path)
        found = probe(bench.config, f"{bench.group}-mid", f"{bench.group}-probe")
        assert found.hides_aborted
        assert found.workers == "one worker"
        # Mended by changing transactional ids; where this holds, they need not change any more.
        assert not found.forgets_aborted

    @pytest.mark.kafka
    def test_apache_kafka_is_good_for_many(self, kafka_broker, tmp_path):
        bench = Bench(kafka_broker.bootstrap_servers, tmp_path)
        found = probe(bench.config, f"{bench.group}-mid", f"{bench.group}-probe")
        assert found.workers == "any number of workers"
        assert found.forgets_aborted

    @pytest.mark.kafka
    def test_a_cluster_whose_transaction_log_cannot_be_made_is_waited_for_with_a_deadline(
        self, kafka_or_skip, tmp_path
    ):
        """Three replicas asked of one broker: its transaction coordinator never becomes ready."""
        with KafkaServer(tmp_path / "kafka", {"transaction.state.log.replication.factor": "3"}) as server:
            bench = Bench(server.bootstrap_servers, tmp_path)
            with pytest.raises(BrokerUnavailableError, match="transactions could not be tried"):
                probe(bench.config, f"{bench.group}-mid", f"{bench.group}-probe", deadline_s=1.0)


class TestOnlyWorker:
    async def test_a_second_worker_is_refused_by_the_name_of_the_first(self, embedded_broker, tmp_path):
        bench = Bench(embedded_broker.bootstrap_servers, tmp_path)
        check_alone(bench.config, bench.group, "a")  # no group yet
        runtime = await bench.start(instance="a")
        await until(lambda: runtime.ready, "readiness")
        check_alone(bench.config, bench.group, "a")  # the same worker once more
        with pytest.raises(EngineError, match="one worker only, and a is a member"):
            check_alone(bench.config, bench.group, "b")
        await bench.stop(runtime)


class TestLiveClock:
    @pytest.mark.parametrize("live_clock", [True, False])
    async def test_partitions_that_have_read_to_the_end_are_told_the_time(self, bench, live_clock):
        """And a live clock goes by it."""

        class Ticking(Items):
            def tick(self, now_ms: int) -> Sequence[Output]:
                assert sum(self.counts.values()) == 20, "no tick before the log was read"
                return [Output(f"{self.group}-dlq", 0, b"", b"%d tick" % now_ms)]

            def idle(self, now_ms: int) -> Sequence[Output]:
                return [Output(f"{self.group}-dlq", 0, b"", b"%d idle" % now_ms)]

        bench.send(20)
        runtime = await bench.start(lambda p: Ticking(bench.group, p, 1), live_clock=live_clock)
        await until(lambda: len(bench.values("dlq")) >= 3, "told twice, committed")
        await bench.stop(runtime)
        told = [value.split() for value in bench.values("dlq")]
        assert [int(now) for now, _ in told] == sorted(int(now) for now, _ in told)
        assert {call for _, call in told} == ({b"tick", b"idle"} if live_clock else {b"idle"})


class TestStarting:
    async def test_a_broker_that_is_away_at_the_start_is_waited_for(self, bench, caplog):
        bench.send(20)
        # Bound and not listening yet: whoever connects is refused, and nobody else can take the port.
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            broker, bench.bootstrap = bench.bootstrap, f"127.0.0.1:{door.getsockname()[1]}"
            starting = asyncio.create_task(bench.start())
            await until(lambda: "the broker is away" in caplog.text or starting.done(), "an attempt")
            assert not starting.done()
            gate = await asyncio.start_server(partial(forward, broker), sock=door)
            runtime = await starting
            await until(lambda: len(bench.outputs()) == 20, "everything counted")
            await bench.stop(runtime)
            gate.close()


async def forward(broker, reader, writer):
    """Pass a connection on to the broker, until either side ends it."""
    host, port = broker.split(":")
    theirs, ours = await asyncio.open_connection(host, int(port))

    async def pump(source, sink):
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()

    await asyncio.gather(pump(reader, ours), pump(theirs, writer))


class TestLeaving:
    async def test_a_static_member_stays_until_it_is_taken_out(self, on_kafka):
        bench = on_kafka
        runtime = await bench.start(instance="gone")
        await until(lambda: runtime.ready, "readiness")
        await bench.stop(runtime)

        def members() -> list[str]:
            described = bench.admin.describe_consumer_groups([bench.group])[bench.group].result(10)
            return [member.group_instance_id for member in described.members]

        assert members() == ["gone"]
        assert leave({"bootstrap_servers": bench.bootstrap}, bench.group, "gone")
        assert members() == []
