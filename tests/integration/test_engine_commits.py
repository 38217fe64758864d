"""What the engine does about commits that fail, hang, are too slow or too large."""

import secrets
import threading
import time
import uuid
from collections.abc import Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.engine.checkpoint import Committer, Work
from streams.engine.handler import Output, Record
from streams.engine.membership import Membership
from streams.engine.partition import TopicPartition as Source
from streams.engine.transactional_id import TransactionalId
from streams.errors import CommitError, EngineError, FencedError
from tests.chaos.counting import Items
from tests.integration.bench import counts, only, until

pytestmark = pytest.mark.timeout(240)


class TestCommitting:
    async def test_an_oversize_record_stops_the_worker_with_topic_and_reason(self, bench):
        class Huge(Items):
            def apply(self, records: Sequence[Record]) -> Sequence[Output]:
                return [Output(f"{self.group}-iout", 0, b"k", bytes(12_000_000))]

        bench.send(1)
        runtime = await bench.start(lambda p: Huge(bench.group, p, 1))
        await until(runtime.failed.is_set, "a refusal")
        assert isinstance(runtime.failure, CommitError)
        assert f"{bench.group}-iout" in str(runtime.failure)
        assert "too large" in str(runtime.failure)

    async def test_a_record_larger_than_its_topic_takes_stops_the_worker(self, on_kafka):
        bench = on_kafka
        bench.create("small", **{"max.message.bytes": "2000"})

        class Large(Items):
            def apply(self, records: Sequence[Record]) -> Sequence[Output]:
                return [Output(f"{self.group}-small", 0, b"k", secrets.token_bytes(16_000))]

        bench.send(1)
        runtime = await bench.start(lambda p: Large(bench.group, p, 1))
        await until(runtime.failed.is_set, "a refusal")
        assert isinstance(runtime.failure, CommitError)
        assert "-small" in str(runtime.failure)
        assert bench.values("items-changelog") == [], "nothing of the transaction may show"

    def test_a_generation_that_has_passed_cannot_commit(self, on_kafka):
        bench = on_kafka
        committer = Committer(bench.config, TransactionalId(f"{bench.group}-x"))
        work = [
            Work(Source(f"{bench.group}-mid", 0), f"{bench.group}-items-changelog", (), [(b"k", b"v")], 1)
        ]
        with pytest.raises(FencedError):
            committer.commit(work, Membership(bench.group, None, 7, "nobody"))
        assert bench.values("items-changelog") == []

    def test_without_a_valid_membership_nothing_is_tried(self, bench):
        committer = Committer(bench.config, TransactionalId(f"{bench.group}-x"))
        with pytest.raises(FencedError, match="no valid membership"):
            committer.commit([], Membership(bench.group, None, -1, ""))
        assert not committer.is_open

    def test_who_reads_on_behind_what_a_dead_worker_left_open_sees_what_follows(self, bench, tmp_path):
        """The embedded broker would hide it, were it written under the same transactional id."""
        topic = f"{bench.group}-items-changelog"

        def write(producer, value: bytes) -> None:
            producer.begin_transaction()
            producer.produce(topic, value, b"k", 0)
            assert producer.flush(10) == 0

        def opened() -> Committer:
            name = TransactionalId(f"{bench.group}-x", tmp_path / "name")
            name.changing = True
            committer = Committer(bench.config, name)
            committer.open()
            return committer

        dead = opened()
        write(dead._producer, b"never committed")
        following = opened()  # settles what is open
        behind = bench.end("items-changelog")
        write(following._producer, b"committed")
        following._producer.commit_transaction(10)
        assert bench.values("items-changelog", start=behind) == [b"committed"]
        assert bench.values("items-changelog") == [b"committed"]

    async def test_two_workers_with_one_instance_name_end_with_one_that_names_the_clash(self, on_kafka):
        """Lock files prevent this on one host; between hosts the broker's fences do."""
        first = await on_kafka.start(instance="same")
        await until(lambda: first.ready, "readiness")
        second = await on_kafka.start(instance="same")
        on_kafka.send(10)
        sent = [10]

        def clashed() -> bool:
            on_kafka.send(1, first=sent[0])  # work, so that both try to commit
            sent[0] += 1
            return first.failed.is_set() or second.failed.is_set()

        await until(clashed, "a clash", 90)
        failure = first.failure or second.failure
        assert isinstance(failure, EngineError)
        assert "'same' is used by another worker" in str(failure)

    async def test_records_that_fit_alone_are_sent_in_batches_that_their_topic_takes(self, on_kafka):
        bench = on_kafka
        bench.create("narrow", **{"max.message.bytes": "3000"})

        class Many(Items):
            def apply(self, records: Sequence[Record]) -> Sequence[Output]:
                super().apply(records)
                return [Output(f"{self.group}-narrow", 0, b"k", uuid.uuid4().bytes * 60) for _ in range(200)]

        bench.send(1)
        runtime = await bench.start(lambda p: Many(bench.group, p, 1))
        await until(lambda: counts(runtime).commits, "the commit")
        await bench.stop(runtime)
        assert len(bench.values("narrow")) == 200
        assert counts(runtime).aborts >= 1

    async def test_a_client_call_that_hangs_is_replaced_and_nothing_is_lost_or_repeated(self, bench):
        """As librdkafka hangs in send_offsets_to_transaction when a broker restarts amid the call."""
        runtime = await bench.start(call_deadline_s=3.0)
        await until(lambda: runtime.ready, "readiness")
        committer = runtime._checkpointer._committer
        inside, go_on = threading.Event(), threading.Event()
        retry = committer._retry

        def hanging(call, until, what):
            if what == "send_offsets":
                inside.set()
                committer._calling_since = time.monotonic()
                assert go_on.wait(60)
            return retry(call, until, what)

        committer._retry = hanging
        bench.send(30)
        await until(inside.is_set, "a hanging call")
        await until(lambda: counts(runtime).fences, "the client to be given up")
        await until(lambda: runtime.partitions() and only(runtime).position >= 30, "30 records, again")
        assert runtime._checkpointer._committer is not committer
        await until(lambda: counts(runtime).commits, "their commit")
        go_on.set()  # the old client comes back: it must not get anything through
        bench.send(10, first=30)
        await until(lambda: only(runtime).position >= 40, "10 more")
        await bench.stop(runtime)
        assert len(set(bench.outputs())) == len(bench.outputs()) == 40

    def test_work_that_takes_too_long_goes_on_in_smaller_transactions(self, on_kafka):
        bench = on_kafka
        sizes = []

        class Slow(Committer):
            def _attempt(self, work, membership, until):
                sizes.append(len(work))
                if len(work) > 1:
                    self._producer.begin_transaction()
                    raise KafkaException(
                        KafkaError(KafkaError._TIMED_OUT, "too slow", txn_requires_abort=True)
                    )
                super()._attempt(work, membership, until)

        bench.create("other-changelog")
        committer = Slow(bench.config, TransactionalId(f"{bench.group}-x"))
        work = [
            Work(Source(f"{bench.group}-mid", 0), f"{bench.group}-{name}", (), [(b"k", b"v")], 1)
            for name in ("items-changelog", "other-changelog")
        ]
        with pytest.raises(FencedError):  # there is no such member; both parts were still tried on their own
            committer.commit(work, Membership(bench.group, None, 7, "nobody"))
        assert sizes == [2, 1]

    async def test_a_slow_broker_is_given_smaller_transactions(self, bench):
        runtime = await bench.start(transaction_timeout_s=4.0)
        await until(lambda: runtime.ready, "readiness")
        committer = runtime._checkpointer._committer
        commit = committer.commit

        def slow(work: Sequence[Work], membership: Membership) -> None:
            time.sleep(1.2)  # the slow broker
            commit(work, membership)

        committer.commit = slow
        bench.send(30)
        await until(lambda: runtime.partitions() and only(runtime).position >= 30, "30 records")
        await until(lambda: runtime._backpressure.share < 1, "smaller bounds")
        committer.commit = commit
        sent = [30]

        def recovered() -> bool:
            bench.send(1, first=sent[0])
            sent[0] += 1
            return runtime._backpressure.share == 1

        await until(recovered, "the full bounds again")
        await until(lambda: only(runtime).position >= sent[0], "the rest")
        await bench.stop(runtime)
        assert len(set(bench.outputs())) == len(bench.outputs()) == sent[0]
