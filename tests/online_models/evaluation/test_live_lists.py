"""Published lists and what their users touch next."""

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.evaluation.list_quality import ListQuality
from online_models.evaluation.live_lists import LiveLists
from online_models.events import hash_id
from online_models.items.catalogue import CatalogueItem
from online_models.items.neighbours import NeighbourRow, NeighbourTable
from online_models.items.settings import CooccurrenceSettings
from online_models.items.shop import Shop

NOW = 1_700_000_000_000
POPULAR = np.array([9, 8], np.uint64)


def items(*hashes):
    return np.array(hashes, np.uint64)


def test_a_list_is_judged_once_by_the_next_touch():
    live = LiveLists()
    live.published(["u:1"], [items(5, 7)], POPULAR, current=[1])
    live.touched(["u:1", "u:1"], [7, 6])
    assert live.cases == 1
    assert live.get()["lists"]["hit_rate@5"] == 1.0
    assert live.get()["lists"]["mrr@5"] == 0.5


def test_the_item_on_the_screen_is_no_case():
    live = LiveLists()
    live.published(["u:1"], [items(5)], POPULAR, current=[4])
    live.touched(["u:1"], [4])
    assert live.cases == 0
    live.touched(["u:1"], [8])
    assert live.cases == 1
    assert live.get()["lists"]["hit_rate@20"] == 0.0
    assert live.get()["popularity"]["mrr@20"] == 0.5


def test_a_later_list_replaces_an_earlier_one_and_an_erased_user_has_none():
    live = LiveLists()
    live.published(["u:1", "u:2"], [items(5), items(5)], POPULAR, current=[0, 0])
    live.published(["u:1"], [items(6)], POPULAR, current=[0])
    live.forget("u:2")
    live.touched(["u:1", "u:2"], [6, 5])
    assert live.cases == 1
    assert live.get()["lists"]["hit_rate@5"] == 1.0


def test_the_oldest_lists_are_forgotten_unjudged():
    live = LiveLists(capacity=1)
    live.published(["u:1", "u:2"], [items(5), items(5)], POPULAR, current=[0, 0])
    live.touched(["u:1", "u:2"], [5, 5])
    assert live.cases == 1


def test_a_capacity_below_one_is_refused():
    with pytest.raises(InvalidParameterError, match="capacity must be at least 1, got 0"):
        LiveLists(capacity=0)


def table_of(*items):
    """Return a table of (name, category, touches)."""
    table = NeighbourTable(CooccurrenceSettings())
    table.upsert(
        [NeighbourRow(name, hash_id(name), category, 1.0, n, n, NOW, int(n)) for name, category, n in items]
    )
    return table


def hashes(*names):
    return np.array([hash_id(name) for name in names], np.uint64)


class TestListQuality:
    TABLE = table_of(("a", "x", 4.0), ("b", "x", 2.0), ("c", "y", 1.0), ("d", "", 1.0))

    def test_the_four_properties_are_those_of_their_definition(self):
        quality = ListQuality()
        assert quality.get() == {}
        quality.add([hashes("a", "b"), hashes("a", "c", "never seen")], Shop(), self.TABLE, NOW)
        found = quality.get()
        # Five items: the table's four are known; one more was listed.
        assert found["coverage"] == 1.0
        assert found["novelty"] == pytest.approx((1.0 + 2.0 + 1.0 + 3.0) / 4)
        assert found["diversity"] == 0.5

    def test_the_latest_whole_window_is_told(self):
        quality = ListQuality(window=3)
        quality.add([hashes("a")] * 3 + [hashes("c")] * 2, Shop(), self.TABLE, NOW)
        assert quality.get()["novelty"] == pytest.approx(1.0)
        quality.add([hashes("c")], Shop(), self.TABLE, NOW)
        assert quality.get()["novelty"] == pytest.approx(3.0)

    @pytest.mark.parametrize("size", [1, 7, 20])
    def test_batches_do_not_matter(self, size):
        lists = [hashes(*"abcd"[n % 3 : n % 3 + 2]) for n in range(20)]
        quality = ListQuality(window=6)
        for begin in range(0, 20, size):
            quality.add(lists[begin : begin + size], Shop(), self.TABLE, NOW)
        whole = ListQuality(window=6)
        whole.add(lists, Shop(), self.TABLE, NOW)
        assert quality.get() == whole.get()

    def test_the_catalogue_tells_categories(self):
        shop = Shop()
        shop.catalogue.upsert([CatalogueItem(name, hash_id(name), name) for name in "ab"])
        quality = ListQuality()
        quality.add([hashes("a", "b")], shop, self.TABLE, NOW)
        assert quality.get()["diversity"] == 1.0

    def test_a_window_of_none_is_refused(self):
        with pytest.raises(InvalidParameterError, match="window must be at least 1, got 0"):
            ListQuality(0)
