"""From touches to a ranker that lists are made with: users, ranker and broadcast handed over by hand."""

import json

import numpy as np

from online_models.items.rank_examples import RankExamples
from online_models.items.rank_trainer import RankTrainerSettings, RankTrainerStore
from online_models.items.settings import CooccurrenceSettings
from streams.agents.broadcast import Broadcast
from streams.agents.documents import BASE_RANKER
from streams.agents.items import ItemsHandler
from streams.agents.ranker import RankerHandler
from streams.engine.handler import Record
from streams.metrics import Metrics
from streams.model_rows import day_key, pin_key
from tests.online_models.churn.workload import START_MS
from tests.streams.agents.test_users import Shop

SETTINGS = RankTrainerSettings(min_sets=5, publish_every=5)


def records(outputs, topic):
    return [Record(n, 0, None, o.value) for n, o in enumerate(o for o in outputs if o.topic == topic)]


def browse(shop, first, last):
    """Let people walk from one item to the next, each in a batch of its own."""
    outputs = []
    for n in range(first, last):
        for step in range(3):
            item = [{"item_id": f"p{(n + step) % 4}"}]
            at_ms = START_MS + n * 60_000 + step * 1000
            outputs += shop.apply(shop.record("view_item", f"u{n}", at_ms, items=item))
        hear(shop, outputs)
    return outputs


def hear(shop, outputs):
    """Broadcast the neighbours that these touches make."""
    items = ItemsHandler(CooccurrenceSettings(publish_growth=0.0), 0, "neighbours", Metrics())
    rows = [(o.key, o.value) for o in items.apply(records(outputs, "pairs"))]
    assert not shop.handler._broadcast.take_neighbours(rows)


def test_touches_become_sets_rankers_and_lists():
    shop, metrics = Shop(), Metrics()
    outputs = browse(shop, 0, 12)
    found = records(outputs, "rank-examples")
    assert found
    ranker = RankerHandler(SETTINGS, "models", metrics)
    snapshots = ranker.apply(found)
    assert metrics.value("keepstream_model_quality", model="ranker", metric="sets") == ranker.store.learned
    document = json.loads(snapshots[-1].value)
    assert {o.key for o in snapshots} == {b"ranker", day_key("ranker", document["event_time"])}
    before = json.loads(records(outputs, "lists")[-1].value)
    assert before["model_version"] == BASE_RANKER
    broadcast = shop.handler._broadcast
    assert not broadcast.take_models([(o.key, o.value) for o in snapshots])
    after = json.loads(records(browse(shop, 20, 21), "lists")[-1].value)
    assert after["model_version"] == document["model_version"] == f"ranker-{ranker.store.version}"


def test_the_weights_are_what_a_fresh_trainer_makes_of_the_same_records():
    found = records(browse(Shop(), 0, 10), "rank-examples")
    ranker = RankerHandler(SETTINGS, "models", Metrics())
    for size, start in ((1, 0), (3, 1), (100, 4)):
        ranker.apply(found[start : start + size])
    fresh = RankTrainerStore(SETTINGS)
    for record in found:
        fresh.apply(RankExamples.unpack(record.value))
    again = RankerHandler(SETTINGS, "models", Metrics())
    again.restore(ranker.dirty_rows())
    again.restored()
    for store in (ranker.store, again.store):
        for ours, theirs in zip(store.network.layers, fresh.network.layers, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_no_more_touches_than_wanted_are_passed_on():
    shop = Shop(contexts_per_second=12 / 3600)
    sets = sum(len(RankExamples.unpack(r.value)) for r in records(browse(shop, 0, 20), "rank-examples"))
    assert 0 < sets <= 12


def test_a_pinned_ranker_stays_until_it_is_released_and_a_broken_one_is_refused():
    found = records(browse(Shop(), 0, 12), "rank-examples")
    ranker = RankerHandler(SETTINGS, "models", Metrics())
    versions = [out for record in found for out in ranker.apply([record]) if out.key == b"ranker"]
    assert len(versions) >= 2
    broadcast = Broadcast({}, "neighbours", "models", CooccurrenceSettings(), horizon_ms=1)
    assert broadcast.ranker_version == BASE_RANKER
    broadcast.take_models([(pin_key("ranker"), versions[0].value), (b"ranker", versions[1].value)])
    assert broadcast.ranker_version == "ranker-1"
    assert broadcast.take_models([(b"ranker", versions[1].value.replace(b"0.", b"1.", 1))])
    broadcast.take_models([(pin_key("ranker"), None)])
    assert broadcast.ranker_version == "ranker-2"
    assert broadcast.scorer is None
