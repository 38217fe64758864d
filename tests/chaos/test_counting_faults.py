"""The promise of the engine, kept under faults: nothing lost, nothing repeated, order per key, exact state.

Each test feeds a counting topology and does it harm; a lost, repeated or reordered event would show in a
sequence of some key, in an output id, or in the final state.
"""

import random
import signal
from collections.abc import Iterator

import pytest

from tests.chaos.harness import Topology
from tests.integration.shop import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def topology(broker, tmp_path) -> Iterator[Topology]:
    made = Topology(broker.bootstrap_servers, tmp_path)
    yield made
    made.workers.close()


@pytest.fixture
def on_kafka(own_kafka_broker, tmp_path) -> Iterator[Topology]:
    made = Topology(own_kafka_broker.bootstrap_servers, tmp_path)
    yield made
    made.workers.close()


class TestOneWorkerOnEitherBroker:
    def test_a_clean_run_counts_every_event_once_and_in_order(self, topology):
        topology.feed(20_000)
        worker = topology.start()
        topology.wait_for_outputs()
        assert topology.workers.terminate(worker) == 0
        topology.check()

    def test_counting_goes_on_exactly_after_sigterm_and_after_kill_9(self, topology):
        topology.start("w1")
        feeding = topology.feed_in_background(16_000, rate=2_000)
        harm = random.Random(3)
        for fault in ("kill", "term", "kill", "term"):
            before = topology.sent
            wait_until(
                lambda since=before: topology.sent > since + harm.randint(1_000, 2_500), "more events", 30
            )
            if fault == "kill":
                topology.workers.kill("w1")
            else:
                # It may still have been importing: then the signal ends it before it has begun.
                assert topology.workers.terminate("w1") in (0, -signal.SIGTERM)
            topology.start("w1")
        feeding.join()
        topology.wait_for_outputs()
        topology.check()

    def test_a_record_that_raises_is_passed_over_with_the_rest_applied_once(self, topology):
        topology.feed(3_000, poison_every=1_000)
        worker = topology.start()
        topology.wait_for_outputs()
        topology.check()
        dead = topology.read("dlq")
        assert len(dead) == 3
        assert all(b'"poison"' in (value or b"") for _, _, _, value in dead)
        assert topology.workers.terminate(worker) == 0


@pytest.mark.kafka
class TestManyWorkersOnKafka:
    def test_workers_killed_frozen_added_and_removed_and_the_broker_killed(self, on_kafka, own_kafka_broker):
        """Sixteen faults at random moments, among them zombies that wake up after their partitions moved."""
        harm = random.Random(11)
        on_kafka.start()
        on_kafka.start()
        feeding = on_kafka.feed_in_background(70_000, rate=1_200)
        kinds = ["kill"] * 5 + ["freeze"] * 3 + ["add"] * 2 + ["remove"] * 2 + ["term"] * 2 + ["broker"] * 2
        harm.shuffle(kinds)
        for kind in kinds:
            before = on_kafka.sent
            wait_until(
                lambda since=before: (
                    on_kafka.sent > since + harm.randint(1_000, 3_000) or not feeding.is_alive()
                ),
                "more events",
                60,
            )
            self.do(kind, on_kafka, own_kafka_broker, harm)
        feeding.join()
        on_kafka.wait_for_outputs(300)
        on_kafka.check()
        assert len(on_kafka.faults) == len(kinds)

    @staticmethod
    def do(kind: str, topology: Topology, broker, harm: random.Random) -> None:
        topology.workers.supervise()
        if kind == "add" and len(topology.workers.alive()) >= 3:
            kind = "kill"
        if kind == "remove" and len(topology.workers.alive()) <= 1:
            kind = "kill"
        name = topology.pick()
        match kind:
            case "kill":
                topology.workers.kill(name)
                topology.start(name)
            case "term":
                topology.workers.terminate(name)
                topology.start(name)
            case "freeze":
                topology.workers.freeze(name, harm.uniform(7, 10))
            case "add":
                name = topology.start()
            case "remove":
                topology.workers.terminate(name)
            case "broker":
                broker.kill()
                broker.start()
        topology.faults.append((kind, name))
