"""The broker a benchmark runs against: one that is there, Apache Kafka from its jars, or the embedded one."""

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # left out of its stubs

from streams.broker import EmbeddedBroker
from tests.integration import kafka


def add_options(parser: ArgumentParser) -> None:
    """Add the options that choose the broker and the size of the run."""
    parser.add_argument(
        "--broker",
        default="kafka",
        help="kafka (Java 17 and Maven needed), embedded, or host:port; default: %(default)s",
    )
    parser.add_argument(
        "--divisor",
        type=int,
        default=1,
        help="divide all sizes by this, to see that it works; the figures are then no measurement",
    )


@contextmanager
def started(options: Namespace) -> Iterator[str]:
    """Yield the address of the broker that the options name; stop it afterwards if it was started here."""
    if ":" in options.broker:
        yield options.broker
        return
    with tempfile.TemporaryDirectory(prefix="keepstream-benchmark-") as directory:
        if options.broker == "embedded":
            with EmbeddedBroker(Path(directory)) as embedded:
                yield embedded.bootstrap_servers
            return
        reason = kafka.missing()
        if reason:
            raise SystemExit(f"{reason}; try --broker embedded")
        with kafka.KafkaServer(Path(directory) / "kafka") as server:
            yield server.bootstrap_servers


def cpu_seconds(bootstrap: str) -> float:
    """Return the CPU time of the process that listens at an address, 0 if that is not to be learned here."""
    port = int(bootstrap.rpartition(":")[2])
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return 0.0  # macOS tells root only
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
        if listens and connection.pid:
            used = psutil.Process(connection.pid).cpu_times()
            return float(used.user + used.system)
    return 0.0


def create(bootstrap: str, partitions: int, *names: str) -> None:
    """Create topics."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
        future.result(30)
