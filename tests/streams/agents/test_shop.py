"""Catalogue and rules as every worker reads them."""

import json

import msgspec
import numpy as np
import pytest

from online_models.events import hash_id
from online_models.items.catalogue import Catalogue
from online_models.items.settings import CooccurrenceSettings
from online_models.items.shop import Shop
from streams.agents.broadcast import Broadcast
from streams.agents.shop import ShopReader
from streams.schemas import CatalogItem, ListRule


def item_row(name="sku-1", **parts):
    return name.encode(), msgspec.json.encode(CatalogItem(name, **parts))


def rule_row(name="r", action="block", **parts):
    return name.encode(), msgspec.json.encode(ListRule(name, action, **parts))


def reader(max_items=10):
    seen = []
    found = ShopReader(
        Shop(Catalogue(max_items)), "catalog", "rules", lambda shop: seen.append(len(shop.catalogue))
    )
    return found, seen


def sold(found, *names):
    hashes = np.array([hash_id(name) for name in names], np.uint64)
    return found.shop.sells(hashes, 2**42).tolist()


def test_items_are_taken_over_replaced_and_deleted():
    found, seen = reader()
    rows = [item_row(), item_row("sku-2"), item_row(available=False), (b"sku-2", None), item_row("sku-3")]
    assert found.take_items(rows) == []
    assert sold(found, "sku-1", "sku-2", "sku-3") == [False, False, True]
    assert seen == [2]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"sku-1", b"{", "no CatalogItem"),
        (b"sku-1", b"\xff", "no CatalogItem"),
        (b"sku-1", b'{"item_id": "sku-1", "price": -1}', "price"),
        (b"sku-1", b'{"item_id": "sku-1", "price": "1"}', "price"),
        (b"sku-1", json.dumps({"item_id": "sku-1", "title": "x" * 513}).encode(), "title"),
        (b"sku-1", b'{"item_id": "sku-2"}', "stands under the key"),
        (b"\xff", None, "codec"),
    ],
)
def test_a_bad_item_is_refused_and_what_was_known_stays(key, value, reason):
    found, _ = reader()
    found.take_items([item_row()])
    (refused,) = found.take_items([(key, value)])
    assert reason in refused.reason
    assert sold(found, "sku-1") == [True]


def test_what_has_no_room_is_refused_with_its_place():
    found, _ = reader(max_items=1)
    assert [one.place for one in found.take_items([item_row("a"), item_row("b"), item_row("a")])] == [1]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"rule_id": "r", "action": "sell", "item_id": "a"}', "action"),
        (b'{"rule_id": "r", "action": "block"}', "got 0"),
        (b'{"rule_id": "r", "action": "boost", "item_id": "a"}', "needs a factor"),
        (b'{"rule_id": "r", "action": "pin", "item_id": "a", "position": 0}', "position"),
        (b'{"rule_id": "r", "action": "pin", "brand": "a", "position": 1}', "pins an item_id"),
        (b'{"rule_id": "x", "action": "block", "item_id": "a"}', "stands under the key"),
    ],
)
def test_a_bad_rule_is_refused_and_the_one_in_force_stays(value, reason):
    found, _ = reader()
    assert found.take_rules([rule_row(item_id="b")]) == []
    (refused,) = found.take_rules([(b"r", value)])
    assert reason in refused.reason
    assert found.shop.rules.at(0).blocked["item"] == {"b"}


def test_rules_are_deleted_by_their_key():
    found, _ = reader()
    found.take_rules([rule_row(item_id="b"), (b"r", None)])
    assert found.shop.rules.at(0).blocked["item"] == set()


def test_every_worker_reads_both_topics_before_its_first_event():
    found, _ = reader()
    broadcast = Broadcast({}, "neighbours", "models", CooccurrenceSettings(), horizon_ms=1, shop=found)
    assert broadcast.shop is found.shop
    assert set(broadcast._reader._sinks) == {"neighbours", "models", "catalog", "rules"}
    assert not broadcast.ready
