"""Memory that users and items take, and the time of a training label: ``python -m benchmarks.memory``."""

import argparse
import ctypes
import gc
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import psutil

from benchmarks import brokers, results
from benchmarks.one_process import OneProcess
from benchmarks.workload import DAY_MS, START_MS, Workload, event_ms
from online_models.churn.labels import ExampleBatch
from online_models.churn.profile import UserStore
from online_models.churn.trainer import TrainerStore
from online_models.events import Int64s, hash_ids
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.neighbours import NeighbourTable
from online_models.items.pairs import PairBatch
from online_models.winback.outcomes import OutcomeBatch
from streams import topics
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.settings import load
from streams.store_settings import cooccurrence_settings, trainer_settings, user_settings

_COUNT: Final = 30_000
_SMALL: Final = 1_000
_CHUNK: Final = 4_000
_WEEKS: Final = 6
_WEEK_MS: Final = 7 * DAY_MS
_PARTNERS: Final = (0, 6, 11, 15, 20, 30, 51, 95, 128, 128, 128)
"""Deciles of the number of partners, 128 at most, of the 68,509 items of Complete Journey, a log of baskets
of two years: more than in the logs of clicks at hand, whose medians are 8 and 20."""


def memory(count: int) -> dict[str, float]:
    """Return resident bytes of a user, of an item in its partition and of an item in the broadcast table.

    Users come back every week until their landmarks wait for labels. Items have as many partners as those of
    a real log; "full" ones have one in every slot.

    Parameters
    ----------
    count
        Users, and items, that are there while it is measured.
    """
    # What is taken once, whatever the number, is taken by a small one first.
    _measure(_SMALL)
    return _measure(count) | {"label": label_cost()}


def _measure(count: int) -> dict[str, float]:
    defaults = load(environ={})
    users, settings = UserStore(user_settings(defaults, 1)), cooccurrence_settings(defaults)
    items, table = CooccurrenceStore(settings), NeighbourTable(settings)
    full, table_of_full = CooccurrenceStore(settings), NeighbourTable(settings)
    real = np.interp(np.linspace(0, 10, count), range(11), _PARTNERS).astype(np.int64)
    real = np.random.default_rng(1).permutation(real)
    every = np.full(count, 2 * settings.slots)
    return {
        "user": _grown_by(lambda: _fill_users(users, count)) / count,
        "item": _grown_by(lambda: _fill_items(items, real)) / count,
        "item, broadcast": _grown_by(lambda: table.upsert(items.publish())) / count,
        "full item": _grown_by(lambda: _fill_items(full, every)) / count,
        "full item, broadcast": _grown_by(lambda: table_of_full.upsert(full.publish())) / count,
    }


def _fill_users(users: UserStore, count: int) -> None:
    decoder = Decoder()
    for week in range(_WEEKS):
        for first in range(0, count, _CHUNK):
            batch = [_view(user, week, count) for user in range(first, min(first + _CHUNK, count))]
            users.apply(decoder.decode(batch).events, None, None)


def _view(user: int, week: int, count: int) -> Record:
    """Return the event of a user in a week, spread evenly over it, each time of another item."""
    time, item = START_MS + week * _WEEK_MS + user * _WEEK_MS // count, (user + week) % count
    value = (
        f'{{"event_id":"e{week}-{user}","event_name":"view_item","event_time":{time},"user_id":"c-{user:08d}",'
        f'"items":[{{"item_id":"sku-{item:08d}","item_category":"cat-{item % 40}","price":9.5}}]}}'
    )
    return Record(week * count + user, time, None, value.encode())


def _fill_items(items: CooccurrenceStore, partners: Int64s) -> None:
    """Let every item be touched once and meet so many random partners."""
    random, count = np.random.default_rng(1), partners.size
    names = [f"sku-{item:08d}" for item in range(count)]
    hashes = hash_ids(names)
    for first in range(0, count, _CHUNK):
        touched = np.arange(first, min(first + _CHUNK, count), dtype=np.uint32)
        owner = np.repeat(touched, partners[touched])
        items.apply(
            PairBatch(
                hashes=hashes,
                names=names,
                categories=["", "cat"],
                touch_item=touched,
                touch_time=np.full(touched.size, START_MS, np.int64),
                touch_category=np.ones(touched.size, np.uint32),
                touch_price=np.full(touched.size, 9.5),
                owner=owner,
                partner=random.integers(0, count, owner.size, dtype=np.uint32),
                distance=np.ones(owner.size, np.int8),
                weight=np.ones(owner.size, np.float32),
                time=np.full(owner.size, START_MS, np.int64),
            )
        )


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


def _grown_by(fill: Callable[[], None]) -> int:
    before = _resident()
    fill()
    return _resident() - before


def _resident() -> int:
    """Return resident bytes once what is free has gone back to the system, where glibc does that."""
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
    return int(psutil.Process().memory_info().rss)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    brokers.add_options(parser)
    options = parser.parse_args()
    with results.collected("memory", options) as found:
        found.update(memory(_COUNT // options.divisor))
        for name, size in found.items():
            print(f"{name:<28} {size:8,.0f} {'µs' if name == 'label' else 'bytes resident'}")


if __name__ == "__main__":
    main()
