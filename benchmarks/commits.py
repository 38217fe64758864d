"""What a checkpoint costs as one worker holds more partitions: requests, milliseconds, records a second."""

import argparse
import collections
import json
import logging
import statistics
import time
import uuid

from confluent_kafka import Consumer

from benchmarks import brokers
from streams.engine.checkpoint import Committer, Work
from streams.engine.handler import Output
from streams.engine.membership import Membership
from streams.engine.partition import TopicPartition

_ROW = bytes(528)
_OUTPUT = bytes(400)
_STATISTICS_MS = 100


class _Joined(Membership):
    """The membership of a real consumer, by its own bytes."""

    theirs: bytes

    def to_bytes(self) -> bytes:
        return self.theirs


def _join(bootstrap: str, topic: str) -> tuple[Consumer, Membership]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    until = time.monotonic() + 60
    while not consumer.assignment():
        consumer.poll(0.2)
        if time.monotonic() > until:
            raise SystemExit("the group did not admit the benchmark")
    joined = _Joined(topic, None, 1, "benchmark")
    joined.theirs = consumer.consumer_group_metadata()
    return consumer, joined


def measure(bootstrap: str, partitions: int, records: int, commits: int) -> None:
    """Commit the same number of records spread over more and more partitions, and print a line."""
    name = uuid.uuid4().hex[:8]
    topics = [f"{name}-{suffix}" for suffix in ("events", "changelog", "lists", "pairs")]
    brokers.create(bootstrap, partitions, *topics)
    source, changelog, *outputs = topics
    consumer, membership = _join(bootstrap, source)
    requests: collections.Counter[str] = collections.Counter()

    def note(text: str) -> None:
        seen = collections.Counter[str]()
        for broker in json.loads(text)["brokers"].values():
            seen.update({kind: count for kind, count in broker["req"].items() if count})
        requests.clear()
        requests.update(seen)

    config = {
        "bootstrap.servers": bootstrap,
        "statistics.interval.ms": _STATISTICS_MS,
        "stats_cb": note,
        "logger": logging.getLogger("librdkafka"),
    }
    committer = Committer(config, f"{name}-benchmark")  # type: ignore[arg-type]  # a callback among the settings
    each = records // partitions
    work = [
        Work(
            TopicPartition(source, number),
            changelog,
            [Output(topic, number, b"key", _OUTPUT) for topic in outputs for _ in range(each)],
            [(b"row-%d" % row, _ROW) for row in range(each)],
            0,
        )
        for number in range(partitions)
    ]
    committer.commit(work, membership)
    committer._producer.poll(_STATISTICS_MS / 200)  # type: ignore[union-attr]  # noqa: SLF001  # statistics arrive
    before, times = collections.Counter(requests), []
    for _ in range(commits):
        began = time.monotonic()
        committer.commit(work, membership)
        times.append(time.monotonic() - began)
        consumer.poll(0)
    committer._producer.poll(_STATISTICS_MS / 200)  # type: ignore[union-attr]  # noqa: SLF001  # same
    each_commit = {
        kind: (count - before[kind]) / commits
        for kind, count in requests.items()
        if kind in ("Produce", "AddPartitionsToTxn", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn")
    }
    consumer.close()
    told = ", ".join(f"{kind} {count:.1f}" for kind, count in sorted(each_commit.items()))
    total, median_ms = sum(each_commit.values()), statistics.median(times) * 1000
    print(f"{partitions:>10} {total:>9.1f} {median_ms:>10.0f} ms  {told}")


def main() -> None:
    """Print a line for each number of partitions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, nargs="+", default=[4, 16, 32], help="default: %(default)s")
    parser.add_argument(
        "--records", type=int, default=960, help="records in a checkpoint; default: %(default)s"
    )
    parser.add_argument("--commits", type=int, default=100, help="default: %(default)s")
    brokers.add_options(parser)
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    with brokers.started(options) as bootstrap:
        print("partitions  requests  median time  requests of a checkpoint by kind")
        for partitions in options.partitions:
            measure(bootstrap, partitions, options.records, options.commits)


if __name__ == "__main__":
    main()
