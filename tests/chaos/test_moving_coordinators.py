"""Leaders, group and transaction coordinators move between brokers while two workers count."""

import pytest

from tests.chaos.harness import Topology
from tests.integration.kafka_cluster import KafkaCluster
from tests.integration.shop import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(600)]


def test_brokers_of_a_cluster_are_killed_one_after_the_other(kafka_or_skip, tmp_path):
    with KafkaCluster(tmp_path / "kafka") as cluster:
        topology = Topology(cluster.bootstrap_servers, tmp_path, replication=3)
        try:
            topology.start()
            topology.start()
            feeding = topology.feed_in_background(10_000_000, rate=500)
            for broker in cluster.nodes[1:]:
                grow(topology)
                broker.kill()
                grow(topology)
                broker.start()
            grow(topology)
            topology.enough.set()
            feeding.join()
            topology.wait_for_outputs(300)
            topology.check()
        finally:
            topology.workers.close()


def grow(topology: Topology) -> None:
    """Wait until the second agent has put out more."""
    before = topology.length("iout")
    topology.workers.supervise()
    wait_until(lambda: topology.length("iout") > before + 1_000, "1,000 more outputs", 180)
