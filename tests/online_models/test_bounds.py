"""State stays within its bounds however many users, items and events there have been."""

import gc
import tracemalloc
from dataclasses import replace

import numpy as np

from online_models.admission import Admission
from online_models.churn.profile import UserStore
from online_models.churn.settings import DAY_MS, HOUR_MS
from online_models.events import hash_id
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.neighbours import NeighbourTable
from online_models.items.settings import CooccurrenceSettings
from tests.online_models.churn.workload import SMALL, START_MS, Event, batch_of
from tests.online_models.items.workload import log_of

LIMIT = 300
TURNS = 100
"""Ten times more than the limit come, a tenth of it at a time."""


class Watch:
    """Sizes after every turn. Growth without bound would double them from the second quarter to the last."""

    def __init__(self):
        self.sizes = []

    def __enter__(self):
        gc.collect()
        gc.freeze()  # what was there before need not be searched after every turn
        tracemalloc.start()
        return self

    def __exit__(self, *_):
        tracemalloc.stop()
        gc.unfreeze()

    def note(self, **sizes):
        gc.collect()
        self.sizes.append(sizes | {"allocated": tracemalloc.get_traced_memory()[0]})

    def assert_flat(self, name, within=1.0):
        values = [sizes[name] for sizes in self.sizes]
        quarter = len(values) // 4
        assert max(values[-quarter:]) <= within * max(values[quarter : 2 * quarter]), (name, values[::10])


def keys_of(changelog, store):
    """Apply what is to be written to a compacted changelog; return how many rows it holds."""
    for key, value in store.dirty_rows():
        if value is None:
            changelog.pop(key, None)
        else:
            changelog[key] = value
    return len(changelog)


def users_come_and_go(options, step_ms):
    store, changelog = UserStore(options), {}
    with Watch() as watch:
        for turn in range(TURNS):
            now = START_MS + turn * step_ms
            names = [f"{'u' if n % 2 else 'a'}:{turn}-{n}" for n in range(LIMIT // 10)]
            events = [Event(name, time=now + n, items=(f"i{n}",)) for n, name in enumerate(names)]
            store.apply(batch_of(events, turn * len(names)))
            watch.note(users=len(store), bytes=store.nbytes, rows=keys_of(changelog, store))
    watch.assert_flat("users")
    watch.assert_flat("bytes", within=1.125)  # of packed rows' pools one part in eight may lie idle
    watch.assert_flat("rows", within=1.05)
    watch.assert_flat("allocated", within=1.25)
    return watch


def test_users_who_stay_away_make_room_for_new_ones():
    """Of 3,000 users no more are known than came within the time to live."""
    options = replace(SMALL, state_ttl_ms=8 * DAY_MS)
    watch = users_come_and_go(options, step_ms=DAY_MS // 2)
    assert max(sizes["users"] for sizes in watch.sizes) <= 18 * LIMIT // 10


def test_a_flood_of_users_within_the_time_to_live_is_bounded_too():
    """No more than the limit and what came since the last tick."""
    watch = users_come_and_go(replace(SMALL, max_users=LIMIT), step_ms=HOUR_MS)
    counts = [sizes["users"] for sizes in watch.sizes[20:]]
    assert max(counts) <= LIMIT + LIMIT // 10
    assert min(counts) >= LIMIT - LIMIT // 10


def test_items_come_and_go_in_the_store_and_in_every_table_derived_from_it(monkeypatch):
    monkeypatch.setattr("online_models.items.names._MARGIN", LIMIT)
    monkeypatch.setattr("online_models.items.neighbours._MARGIN", LIMIT)
    options = CooccurrenceSettings(slots=4, published_partners=3, max_items=LIMIT, publish_growth=0.0)
    store, table, changelog, broadcast = CooccurrenceStore(options), NeighbourTable(options), {}, {}
    with Watch() as watch:
        for turn in range(TURNS):
            names = [f"{turn}-{n}" for n in range(LIMIT // 10)]
            store.apply(log_of([(turn, name, turn * HOUR_MS + n) for n, name in enumerate(names)]))
            gone, rows = store.withdrawn(), store.publish()
            table.remove([hash_id(name) for name in gone])
            table.upsert(rows)
            broadcast |= dict.fromkeys(gone)
            broadcast |= {row.item_id: row for row in rows}
            broadcast = {name: row for name, row in broadcast.items() if row is not None}
            watch.note(
                items=len(store),
                bytes=store.nbytes,
                names=len(store._names),
                table=len(table),
                table_bytes=table.nbytes,
                rows=keys_of(changelog, store),
                broadcast=len(broadcast),
            )
            assert len(broadcast) == len(store)
    for name in ("items", "bytes", "table_bytes", "broadcast"):
        watch.assert_flat(name)
    for name in ("names", "table", "rows", "allocated"):
        watch.assert_flat(name, within=1.25)
    counts = [sizes["items"] for sizes in watch.sizes[20:]]
    assert max(counts) <= LIMIT + LIMIT // 10
    assert min(counts) >= LIMIT - LIMIT // 10
    assert max(sizes["table"] for sizes in watch.sizes) <= 4 * LIMIT


def test_a_flood_of_events_within_one_hour_is_bounded():
    store, changelog = Admission(allowed_lateness_ms=0, dedupe_window_ms=DAY_MS, max_ids=10 * LIMIT), {}
    with Watch() as watch:
        for turn in range(TURNS):
            ids = np.arange(1, LIMIT + 1, dtype=np.uint64) + np.uint64(turn * LIMIT)
            store.admit(ids, np.full(ids.size, START_MS))
            watch.note(ids=len(store), bytes=store.nbytes, rows=keys_of(changelog, store))
            assert sum(len(value) for value in changelog.values()) == 8 * len(store)
    assert max(sizes["ids"] for sizes in watch.sizes) <= 10 * LIMIT
    for name in ("ids", "bytes", "rows"):
        watch.assert_flat(name)
    watch.assert_flat("allocated", within=1.25)
