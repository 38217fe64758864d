"""What an operator does on an ordinary day, under load on Apache Kafka: nothing lost, nothing repeated."""

from collections.abc import Iterator

import pytest

from tests.chaos.harness import Topology
from tests.integration.shop import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(400)]


@pytest.fixture
def topology(kafka_broker, tmp_path) -> Iterator[Topology]:
    made = Topology(kafka_broker.bootstrap_servers, tmp_path)
    yield made
    made.workers.close()


def wait_for_more(topology: Topology, least: int) -> None:
    """Wait until the log of the second agent's outputs has grown."""
    before = topology.length("iout")
    wait_until(lambda: topology.length("iout") >= before + least, f"{least} more outputs", 120)


def test_a_rolling_restart_of_all_workers_loses_and_repeats_nothing(topology):
    names = [topology.start() for _ in range(3)]
    feeding = topology.feed_in_background(10_000_000, rate=600)
    for name in names:
        wait_for_more(topology, 1_000)
        assert topology.workers.terminate(name) == 0
        topology.start(name)
    topology.enough.set()
    feeding.join()
    topology.wait_for_outputs()
    topology.check()
    assert [topology.workers.terminate(name) for name in topology.workers.alive()] == [0, 0, 0]


def test_scaling_from_one_worker_to_three_and_back_loses_and_repeats_nothing(topology):
    first = topology.start()
    feeding = topology.feed_in_background(10_000_000, rate=600)
    wait_for_more(topology, 1_000)
    others = [topology.start(), topology.start()]
    wait_until(
        lambda: all(topology.holds_partitions(name) for name in others), "partitions for all three", 120
    )
    wait_for_more(topology, 1_000)
    for name in others:
        assert topology.workers.terminate(name) == 0
    topology.enough.set()
    feeding.join()
    topology.wait_for_outputs()
    topology.check()
    assert topology.workers.alive() == [first]
    assert topology.workers.terminate(first) == 0
