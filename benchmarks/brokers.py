"""The broker a benchmark runs against: one that is there, Apache Kafka from its jars, or the embedded one."""

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from streams.broker import EmbeddedBroker
from tests.integration import kafka


def add_options(parser: ArgumentParser) -> None:
    """Add the options that choose the broker."""
    parser.add_argument(
        "--broker",
        default="kafka",
        help="kafka (Java 17 and Maven needed), embedded, or host:port; default: %(default)s",
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


def create(bootstrap: str, partitions: int, *names: str) -> None:
    """Create topics."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
        future.result(30)
