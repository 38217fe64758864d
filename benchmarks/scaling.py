"""What grows: cost with users, items, partitions and workers; memory and recovery with users and items."""

import argparse
import gc
import logging
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from subprocess import run
from typing import Any

import psutil

from benchmarks import brokers, restore, results
from benchmarks.one_process import OneProcess
from benchmarks.throughput import measure_keepstream, per_core
from benchmarks.workload import Workload, event_ms
from online_models.churn.labels import ExampleBatch
from online_models.churn.profile import UserStore
from online_models.churn.settings import UserSettings
from online_models.churn.trainer import TrainerStore
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.neighbours import NeighbourTable
from online_models.items.settings import CooccurrenceSettings
from online_models.winback.outcomes import OutcomeBatch
from streams import topics
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.settings import load
from streams.store_settings import trainer_settings

_BASE = Workload(events=30_000, users=2_000, items=2_000, history=12_000)
_TEN = 10
_CHUNK = 4_000
_MEMORY = 100_000
_RESTORED = 200_000


def grown() -> Workload:
    """Return a shop with ten times as many users and items, and as many churn checks an event."""
    return replace(
        _BASE,
        users=_BASE.users * _TEN,
        items=_BASE.items * _TEN,
        history=_BASE.history * _TEN,
        last_days=_BASE.last_days / _TEN,
    )


def cost(bootstrap: str, parts: int) -> dict[str, Any]:
    """Return CPU microseconds an event of a small shop, and of shops in which one thing is larger."""
    cases: dict[str, tuple[Workload, dict[str, Any]]] = {
        "base": (_BASE, {}),
        "10 times users and items": (grown(), {}),
        "10 times partitions": (_BASE, {"partitions": 40}),
        "8 partitions, 1 worker": (_BASE, {"partitions": 8}),
        "8 partitions, 2 workers": (_BASE, {"partitions": 8, "workers": 2}),
        "8 partitions, 4 workers": (_BASE, {"partitions": 8, "workers": 4}),
    }
    found = {}
    for name, (shop, options) in cases.items():
        smaller = shop.part(parts)
        one = measure_keepstream(bootstrap, smaller.records(), smaller.history, results.scratch(), **options)
        found[name] = {
            "cost": 1e6 / per_core(one),
            "rate": one["events"] / one["seconds"],
            "resident": one["resident"],
            "deviations": one["deviations"],
        }
        line = "{name:<28} {cost:8.0f} µs an event, {rate:,.0f} events/s by the clock"
        print(line.format(name=name, **found[name]), flush=True)
    return found


def memory() -> dict[str, float]:
    """Return resident bytes of a user, of an item in its partition and of an item in the broadcast table."""
    shop = Workload(events=1, history=_MEMORY * 2, users=1, items=_MEMORY, anonymous=0.0)
    records = _one_each(shop)
    found: dict[str, float] = {}
    users, decoder = UserStore(UserSettings()), Decoder()
    pairs: list[Any] = []

    def fill_users() -> None:
        for start in range(0, len(records), _CHUNK):
            effects = users.apply(decoder.decode(records[start : start + _CHUNK]).events, None, None)
            pairs.extend(effects.pairs)

    found["user"] = _grown_by(fill_users) / len(users)
    items, table = CooccurrenceStore(CooccurrenceSettings()), NeighbourTable(CooccurrenceSettings())
    found["item"] = _grown_by(lambda: items.apply_all(pairs)) / len(items)
    found["item, broadcast"] = _grown_by(lambda: table.upsert(items.publish())) / len(items)
    found["label"] = label_cost()
    return found


def label_cost() -> float:
    """Return microseconds of CPU that the trainer needs for a label, all its models together."""
    settings = load(environ={})
    shop = OneProcess(settings)
    log = [
        Record(number, event_ms(value) + 1, key, value)
        for number, (key, value) in enumerate(Workload(events=1_000, history=4_000, users=400).records())
    ]
    topic = topics.EXAMPLES.full_name(settings)
    mail = [
        Record(number, 0, None, output.value)
        for number, output in enumerate(o for o in shop.apply(log) if o.topic == topic)
        if not OutcomeBatch.packed(output.value or b"")
    ]
    labels = ExampleBatch.concat([ExampleBatch.unpack(record.value or b"") for record in mail])
    store = TrainerStore(trainer_settings(settings))
    began = time.process_time()
    store.apply(labels)
    return 1e6 * (time.process_time() - began) / max(1, len(labels))


def _one_each(shop: Workload) -> list[Record]:
    """Return an event of each of many users, each with an item of its own."""
    value = (
        '{"event_id":"e%d","event_name":"view_item","event_time":%d,"user_id":"c-%08d",'
        '"items":[{"item_id":"sku-%08d","item_category":"cat-%d","price":9.5}]}'
    )
    start = 1_704_067_200_000
    return [
        Record(n, start + n, None, (value % (n, start + n, n, n, n % 40)).encode()) for n in range(shop.items)
    ]


def _grown_by(fill: Callable[[], None]) -> int:
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    fill()
    gc.collect()
    return int(process.memory_info().rss - before)


def recovery(bootstrap: str) -> dict[str, float]:
    """Return how long users take to be restored from a changelog."""
    name = uuid.uuid4().hex[:8]
    brokers.create(bootstrap, 4, f"{name}-events", f"{name}-changelog")
    restore.write(bootstrap, f"{name}-changelog", _RESTORED, 4)
    seconds, cpu, users = restore.restore(bootstrap, f"{name}-events", f"{name}-changelog", 4)
    return {"users": users, "seconds": seconds, "cpu": cpu}


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=1, help="one n-th of the logs; default: %(default)s")
    parser.add_argument("--memory", action="store_true", help="measure memory only, in a process of its own")
    brokers.add_options(parser)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    if options.memory:
        with results.collected("memory") as kept:
            kept.update(memory())
        for name, size in kept.items():
            if name != "machine":
                print(f"{name:<28} {size:8,.0f} {'µs' if name == 'label' else 'bytes resident'}")
        return
    run([sys.executable, "-m", "benchmarks.scaling", "--memory"], check=True)
    with results.collected("scaling") as found, brokers.started(options) as bootstrap:
        found["recovery"] = recovery(bootstrap)
        print("recovery of {users:,} users: {seconds:.1f} s, {cpu:.1f} s of CPU".format(**found["recovery"]))
        found["cost"] = cost(bootstrap, options.parts)


if __name__ == "__main__":
    main()
