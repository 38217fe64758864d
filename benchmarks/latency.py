"""How long after an event its recommendation can be read, at shares of the capacity of one worker.

From the call that hands the event to a producer until a reader of committed records holds the list: the
producer's batch, the fetch, the work, the wait for a checkpoint, the transaction and the reader's fetch.
"""

import argparse
import threading
import time

import numpy as np
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from benchmarks import brokers, results
from benchmarks.shop import PARTITIONS, Shop, producer, wait_until
from benchmarks.workload import DAY_MS, TOUCHES, Workload
from streams import topics

_SHARES = (0.1, 0.25, 0.5, 0.8)
_WARM_S = 4.0
_TURN_S = 0.005

Place = tuple[int, int]


class Reader(threading.Thread):
    """Notes when lists become readable, by user."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(daemon=True)
        self.lists: dict[bytes, list[tuple[Place, float]]] = {}
        self._over = threading.Event()
        self._ends: dict[int, int] = {}
        self._shop, self._topic = shop, topics.RECOMMENDATIONS.full_name(shop.settings)
        self._consumer = Consumer(
            {
                "bootstrap.servers": shop.settings.broker.bootstrap_servers,
                "group.id": "latency",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
                "enable.partition.eof": True,
            }
        )
        self._consumer.assign([TopicPartition(self._topic, number, 0) for number in range(shop.partitions)])

    def run(self) -> None:
        """Read until it is over."""
        while not self._over.is_set():
            for message in self._consumer.consume(1_000, 0.005):
                now = time.monotonic()
                error, key, value = message.error(), message.key(), message.value()
                if error is None:
                    assert key is not None
                    assert value is not None
                    # An id is partition and offset of the event, and the first field: no need to parse.
                    partition, _, offset = value[7:40].split(b'"')[0].partition(b"-")
                    place = int(partition), int(offset)
                    self.lists.setdefault(key, []).append((place, now))
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                    self._ends[message.partition() or 0] = message.offset() or 0
        self._consumer.close()

    def finish(self) -> None:
        """Wait until every list that was written has been read, and stop."""
        wait_until(self._has_all, "the last lists")
        self._over.set()
        self.join()

    def _has_all(self) -> bool:
        partitions = range(self._shop.partitions)
        return all(self._ends.get(n, 0) >= self._shop.end(self._topic, n) for n in partitions)


def pace(shop: Shop, records: list[tuple[bytes, bytes]], rate: float) -> list[tuple[bytes, float, Place]]:
    """Append events at a steady rate and return user, time and place of those that ask for a list."""
    sent: list[tuple[bytes, float, Place]] = []
    to = producer(shop.settings.broker.bootstrap_servers)
    topic, began = topics.EVENTS.full_name(shop.settings), time.monotonic()
    touches = tuple(f'"{name}"'.encode() for name in TOUCHES)
    for number, (key, value) in enumerate(records):
        due = began + number / rate
        if due > time.monotonic():
            # All that is due by then goes at once: an event each would cost a core that the worker needs.
            time.sleep(_TURN_S)
            to.poll(0)

        def placed(_error: object, message: Message, due: float = due) -> None:
            sent.append((message.key() or b"", due, (message.partition() or 0, message.offset() or 0)))

        to.produce(topic, value, key, on_delivery=placed if any(t in value for t in touches) else None)
    to.flush(30)
    return sent


def match(
    sent: list[tuple[bytes, float, Place]], lists: dict[bytes, list[tuple[Place, float]]], after: float
) -> tuple[list[float], int]:
    """Return the latencies of events from a moment on, and how many never got a list.

    A user's events that arrive together get one list: the first one at the event's place or behind it counts.
    """
    found, missing = [], 0
    for key, began, (_, offset) in sent:
        if began < after:
            continue
        subject = (b"a:" if key.startswith(b"v") else b"u:") + key
        answers = [at for (_, place), at in lists.get(subject, ()) if place >= offset]
        if answers:
            found.append(min(answers) - began)
        else:
            missing += 1
    return found, missing


def main() -> None:
    """Print a line for each load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--capacity", type=float, help="events a second; else as one worker was just measured"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="at each load; default: %(default)s")
    brokers.add_options(parser)
    options = parser.parse_args()
    shape = Workload(history=10_000)
    history = shape.records()[: shape.history]
    with results.collected("latency", options) as found, brokers.started(options) as bootstrap:
        directory = results.scratch()
        pace_now = {"ranker_examples_per_second": 20.0}
        with Shop(bootstrap, directory, partitions=PARTITIONS, environment=pace_now) as shop:
            shop.send(history)
            shop.start()
            shop.settle()
            found["capacity"] = options.capacity or _capacity(shop)
            for number, share in enumerate(_SHARES):
                rate = found["capacity"] * share
                seconds = options.seconds / options.divisor + _WARM_S
                # Event time runs as fast as the clock on the wall, as in a live shop.
                live = Workload(
                    events=int(rate * seconds),
                    history=0,
                    days=36.0 + number,
                    last_days=seconds * 1000 / DAY_MS,
                    seed=number + 2,
                )
                reader = Reader(shop)
                reader.start()
                records, before = live.records(), _worked(shop)
                began = time.monotonic()
                sent = pace(shop, records, rate)
                shop.settle()
                batches, cpu = (now - then for now, then in zip(_worked(shop), before, strict=True))
                reader.finish()
                times, missing = match(sent, reader.lists, began + _WARM_S)
                p50, p95, p99 = np.percentile(np.array(times) * 1000, (50, 95, 99)).tolist()
                found[str(share)] = {
                    "rate": rate,
                    "p50": p50,
                    "p95": p95,
                    "p99": p99,
                    "events": len(times),
                    "batch": len(records) / batches,
                    "cost": 1e6 * cpu / len(records),
                }
                print(
                    f"{share:>4.0%} of {found['capacity']:,.0f}/s: p50 {p50:6.0f} ms  p95 {p95:6.0f} ms"
                    f"  p99 {p99:6.0f} ms  ({len(times):,} events, {missing} without a list)",
                    flush=True,
                )


def _worked(shop: Shop) -> tuple[float, float]:
    """Return how many batches of events the worker has applied, and its CPU seconds."""
    (worker,) = shop.workers
    return worker.metrics()['keepstream_batch_records_count{agent="users"}'], worker.usage().cpu


def _capacity(shop: Shop) -> float:
    """Return how many events a second a backlog is worked off with, the broker on the same machine."""
    more = Workload(events=20_000, history=0, days=35.5, last_days=20_000 / 3_000 / 86_400, seed=9)
    began = time.monotonic()
    shop.send(more.records())
    shop.settle()
    return 20_000 / (time.monotonic() - began)


if __name__ == "__main__":
    main()
