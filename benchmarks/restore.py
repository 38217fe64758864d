"""How long a worker takes to restore its users: changelog partitions read back into the columns."""

import argparse
import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from confluent_kafka import Producer

from benchmarks import brokers, results
from online_models.churn.profile import UserStore
from online_models.churn.rows import user_layout
from online_models.churn.settings import UserSettings
from online_models.journal import Journal
from online_models.table import Table
from streams.engine.observer import Observer
from streams.engine.partition import Partition, TopicPartition
from streams.engine.restore import POSITION_KEY, Restorer, encode_position

_CHUNK = 50_000


def write(bootstrap: str, changelog: str, rows: int, partitions: int) -> int:
    """Fill the changelog with random user rows and return their bytes."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.kbytes": 2_000_000}
    )
    layout, random, size = user_layout(UserSettings()), np.random.default_rng(1), 0
    for number in range(partitions):
        journal = Journal()
        users = [f"u:{n:08d}" for n in range(number, rows, partitions)]
        for start in range(0, len(users), _CHUNK):
            table = Table(layout)
            numbers, _ = table.intern(users[start : start + _CHUNK])
            for field in ("first_ms", "last_ms"):
                table.rows[field][numbers] = random.integers(
                    1_700_000_000_000, 1_760_000_000_000, numbers.size
                )
            table.rows["decayed"][numbers] = random.random((numbers.size, *table.rows["decayed"].shape[1:]))
            for key, value in journal.seal(table.dirty_rows()):
                size += len(value or b"")
                _produce(producer, changelog, number, key, value)
            producer.poll(0)
    for number in range(partitions):
        producer.produce(changelog, encode_position(0), POSITION_KEY, number)
    if producer.flush(300):
        raise SystemExit("the broker did not take the rows")
    return size


def _produce(producer: Producer, topic: str, partition: int, key: bytes, value: bytes | None) -> None:
    while True:
        try:
            producer.produce(topic, value, key, partition)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def restore(bootstrap: str, source: str, changelog: str, partitions: int) -> tuple[float, float, int]:
    """Restore all partitions, four at a time as a worker does; return seconds, CPU seconds and users."""
    restorer = Restorer({"bootstrap.servers": bootstrap}, 60.0, accept_gap=False, observer=Observer())
    stores = [UserStore(UserSettings()) for _ in range(partitions)]
    opened = [
        Partition(TopicPartition(source, number), changelog, store)  # type: ignore[arg-type]  # restores only
        for number, store in enumerate(stores)
    ]
    began, cpu = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(restorer.restore, opened))
    return time.monotonic() - began, time.process_time() - cpu, sum(map(len, stores))


def main() -> None:
    """Write rows, restore them, and print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--partitions", type=int, default=4, help="default: %(default)s")
    brokers.add_options(parser)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    name, rows = uuid.uuid4().hex[:8], options.rows // options.divisor
    with results.collected("recovery", options) as found, brokers.started(options) as bootstrap:
        brokers.create(bootstrap, options.partitions, f"{name}-events", f"{name}-changelog")
        size = write(bootstrap, f"{name}-changelog", rows, options.partitions)
        print(f"{rows:,} rows written, {size / 2**20:,.0f} MiB, {options.partitions} partitions", flush=True)
        seconds, cpu, users = restore(bootstrap, f"{name}-events", f"{name}-changelog", options.partitions)
        if users != rows:
            raise SystemExit(f"{rows - users:,} users are missing")
        found.update(users=users, bytes=size, seconds=seconds, cpu=cpu)
    print(f"{users:,} users restored in {seconds:.1f} s, {cpu:.1f} s of CPU")


if __name__ == "__main__":
    main()
