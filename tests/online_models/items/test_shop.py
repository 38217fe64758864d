"""What a shop's catalogue and rules do to lists."""

import math

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.events import hash_id
from online_models.items.catalogue import Catalogue, CatalogueItem
from online_models.items.histories import Histories
from online_models.items.neighbours import NeighbourRow, NeighbourTable
from online_models.items.policy import PolicySettings
from online_models.items.recommender import Recommender
from online_models.items.rules import MAX_RULES, Rule, RuleBook
from online_models.items.settings import CooccurrenceSettings
from online_models.items.shop import Shop

NOW = 1_700_000_000_000


def item(name, category="toys", brand="", *, price=math.nan, available=True, since_ms=0):
    return CatalogueItem(name, hash_id(name), category, brand, price, available, since_ms)


def table_of(count=30, category="toys"):
    table = NeighbourTable(CooccurrenceSettings())
    table.upsert(
        [
            NeighbourRow(f"i{n}", hash_id(f"i{n}"), category, 5.0, 100.0 - n, 100.0 - n, NOW, 100)
            for n in range(count)
        ]
    )
    return table


def viewer(*names):
    return Histories.of_session(np.array([hash_id(name) for name in names], np.uint64))


def lists_of(shop, history=None, *, table=None, now_ms=NOW, k=10, **policy):
    recommender = Recommender(policy=PolicySettings(category_share=1.0, **policy))
    found = recommender.recommend(
        viewer("i9") if history is None else history, table or table_of(), now_ms, k, shop=shop
    )
    return found.items[0], found.reasons[0], found.scores[0]


def shop_of(items=(), rules=(), *, complete=True):
    shop = Shop(complete=complete)
    assert shop.catalogue.upsert(items) == []
    assert shop.rules.upsert(rules) == []
    return shop


class TestCatalogue:
    def test_the_last_word_on_an_item_counts(self):
        catalogue = Catalogue()
        catalogue.upsert([item("a", "toys", "Acme"), item("a", "books", price=2.0, available=False)])
        row = catalogue.rows_of(np.array([hash_id("a")], np.uint64))
        assert (catalogue.category_names(row), catalogue.brand_names(row)) == (["books"], [""])
        assert catalogue.prices(row).tolist() == [2.0]
        assert not catalogue.available(row, NOW).any()
        assert catalogue.category_code("toys") == -1

    def test_it_holds_no_more_than_it_may_and_makes_room_for_what_follows_a_removal(self):
        catalogue = Catalogue(max_items=2)
        assert catalogue.upsert([item("a"), item("b"), item("c"), item("a", "books")]) == [2]
        catalogue.remove([hash_id("a"), hash_id("never there")])
        assert catalogue.upsert([item("c", "pens")]) == []
        assert len(catalogue) == 2
        assert catalogue.rows_of(np.array([hash_id("a")], np.uint64)).tolist() == [-1]
        assert catalogue.nbytes > 0

    def test_names_of_categories_do_not_pile_up(self):
        catalogue = Catalogue()
        for n in range(5_000):
            catalogue.upsert([item("a", f"category-{n}", f"brand-{n}")])
        row = catalogue.rows_of(np.array([hash_id("a")], np.uint64))
        assert (catalogue.category_names(row), catalogue.brand_names(row)) == (
            ["category-4999"],
            ["brand-4999"],
        )
        assert catalogue.categories(row).max() <= 2

    def test_order_of_different_items_does_not_matter(self):
        items = [item(f"i{n}", f"c{n % 3}", f"b{n % 4}", price=float(n)) for n in range(40)]
        wanted = np.array([one.item_hash for one in items], np.uint64)
        seen = []
        for order in (items, items[::-1]):
            catalogue = Catalogue()
            for one in order:
                catalogue.upsert([one])
            rows = catalogue.rows_of(wanted)
            seen.append(
                (catalogue.category_names(rows), catalogue.brand_names(rows), *catalogue.prices(rows))
            )
        assert seen[0] == seen[1]

    def test_room_for_no_item_is_refused(self):
        with pytest.raises(InvalidParameterError, match="max_items must be at least 1, got 0"):
            Catalogue(0)


class TestAvailability:
    def test_without_a_catalogue_everything_may_be_listed(self):
        assert "i0" in lists_of(shop_of())[0]

    @pytest.mark.parametrize("complete", [True, False])
    def test_what_is_out_of_stock_is_never_listed_and_comes_back(self, complete):
        shop = shop_of([item(f"i{n}", available=n != 0) for n in range(30)], complete=complete)
        assert "i0" not in lists_of(shop)[0]
        shop.catalogue.upsert([item("i0")])
        assert "i0" in lists_of(shop)[0]

    def test_what_is_not_sold_yet_is_listed_from_its_day_on(self):
        known = [item(f"i{n}", "toys") for n in range(30)]
        shop = shop_of(
            [*known[1:], item("i0", "toys", since_ms=NOW + 9), item("new", "toys", since_ms=NOW + 5)]
        )
        for at, old, new in ((NOW, False, False), (NOW + 5, False, True), (NOW + 9, True, True)):
            listed = lists_of(shop, now_ms=at, cold_share=0.1)[0]
            assert ("i0" in listed, "new" in listed) == (old, new)

    def test_what_a_complete_catalogue_lacks_is_withdrawn(self):
        shop = shop_of([item(f"i{n}") for n in range(30)])
        shop.catalogue.remove([hash_id("i0")])
        assert "i0" not in lists_of(shop)[0]
        assert "i0" in lists_of(shop_of([item(f"i{n}") for n in range(1, 30)], complete=False))[0]


class TestColdItems:
    def test_a_new_item_of_the_category_takes_the_last_place(self):
        known = [item(f"i{n}", "toys") for n in range(30)]
        shop = shop_of([*known, item("new", "toys"), item("other", "books")])
        items, reasons, scores = lists_of(shop, cold_share=0.1)
        assert (items[-1], reasons[-1], len(items), len(scores)) == ("new", "new in toys", 10, 10)
        assert "other" not in items

    def test_the_brand_serves_where_the_category_has_nothing_new(self):
        known = [item(f"i{n}", "toys", "Acme") for n in range(30)]
        items, reasons, _ = lists_of(shop_of([*known, item("new", "books", "Acme")]), cold_share=0.1)
        assert (items[-1], reasons[-1]) == ("new", "new from Acme")

    def test_the_closest_price_wins(self):
        known = [item(f"i{n}", "toys", price=10.0) for n in range(30)]
        new = [item("dear", "toys", price=90.0), item("close", "toys", price=11.0)]
        assert lists_of(shop_of([*known, *new]), cold_share=0.1)[0][-1] == "close"

    @pytest.mark.parametrize(
        "gone", [{"available": False}, {"category": "pens"}], ids=["out of stock", "of another category"]
    )
    def test_what_does_not_fit_takes_no_place(self, gone):
        known = [item(f"i{n}", "toys") for n in range(30)]
        shop = shop_of([*known, item("new", **gone)])
        assert "new" not in lists_of(shop, cold_share=0.1)[0]

    def test_an_item_with_touches_is_new_no_longer(self):
        table = table_of()
        shop = shop_of([*(item(f"i{n}", "toys") for n in range(30)), item("new")])
        assert "new in toys" in lists_of(shop, table=table, cold_share=0.1)[1]
        table.upsert([NeighbourRow("new", hash_id("new"), "toys", 5.0, 9.0, 9.0, NOW, 9)])
        assert "new in toys" not in lists_of(shop, table=table, cold_share=0.1)[1]

    def test_users_who_look_at_the_same_things_are_shown_different_ones(self):
        known = [item(f"i{n}", "toys") for n in range(30)]
        shop = shop_of([*known, *(item(f"new-{n}", "toys") for n in range(8))])
        shown = {lists_of(shop, viewer(f"i{n}"), cold_share=0.1)[0][-1] for n in range(20)}
        assert len(shown) > 4

    def test_a_share_of_zero_shows_none(self):
        shop = shop_of([*(item(f"i{n}", "toys") for n in range(30)), item("new")])
        assert "new" not in lists_of(shop, cold_share=0.0)[0]


class TestRules:
    def test_a_pinned_item_stands_in_its_place_once(self):
        rules = [Rule("b", "pin", item_id="i25", position=1), Rule("a", "pin", item_id="i3", position=4)]
        items, reasons, scores = lists_of(shop_of(rules=rules))
        assert (items[0], items[3]) == ("i25", "i3")
        assert (reasons[0], reasons[3]) == ("pinned by the shop", "pinned by the shop")
        assert len(items) == len(set(items)) == len(scores) == 10
        assert scores == sorted(scores, reverse=True)

    def test_of_two_that_want_a_place_the_first_by_name_has_it(self):
        rules = [Rule("b", "pin", item_id="i5", position=1), Rule("a", "pin", item_id="i6", position=1)]
        assert lists_of(shop_of(rules=rules))[0][0] == "i6"

    @pytest.mark.parametrize("name", ["i9", "i0", "i1"], ids=["on the screen", "out of stock", "blocked"])
    def test_a_pin_overrules_no_exclusion(self, name):
        shop = shop_of(
            [item(f"i{n}", available=n != 0) for n in range(30)],
            [Rule("p", "pin", item_id=name, position=1), Rule("q", "block", item_id="i1")],
        )
        assert name not in lists_of(shop)[0]

    @pytest.mark.parametrize(
        "target",
        [{"item_id": "i0"}, {"category": "toys"}, {"brand": "Acme"}],
        ids=["item", "category", "brand"],
    )
    def test_what_is_blocked_is_in_no_list(self, target):
        items = [item(f"i{n}", "toys" if n < 5 else "books", "Acme" if n < 5 else "") for n in range(30)]
        rules = [Rule("b", "block", **target)]
        listed = lists_of(shop_of(items, rules))[0]
        assert "i0" not in listed
        assert ("i1" in listed) == ("item_id" in target)

    def test_categories_of_events_serve_where_there_is_no_catalogue(self):
        assert lists_of(shop_of(rules=[Rule("b", "block", category="toys")]))[0] == []

    def test_a_boost_moves_up_and_says_so(self):
        items, reasons, _ = lists_of(shop_of(rules=[Rule("b", "boost", item_id="i29", factor=1000.0)]))
        assert items[0] == "i29"
        assert reasons[0].endswith(", promoted by the shop")
        assert not reasons[1].endswith("by the shop")
        assert "i0" not in lists_of(shop_of(rules=[Rule("b", "boost", item_id="i0", factor=0.001)]))[0]

    def test_a_rule_holds_from_its_begin_to_its_end_in_event_time(self):
        shop = shop_of(rules=[Rule("b", "block", item_id="i0", from_ms=NOW, until_ms=NOW + 10)])
        held = ["i0" not in lists_of(shop, now_ms=at)[0] for at in (NOW - 1, NOW, NOW + 9, NOW + 10, NOW)]
        assert held == [False, True, True, False, True]

    def test_a_removed_rule_holds_no_longer(self):
        shop = shop_of(rules=[Rule("b", "block", item_id="i0")])
        assert "i0" not in lists_of(shop)[0]
        shop.rules.remove(["b", "never there"])
        assert "i0" in lists_of(shop)[0]

    def test_there_are_no_more_rules_than_there_may_be(self):
        book = RuleBook()
        rules = [Rule(f"{n:05d}", "block", item_id=f"i{n}") for n in range(MAX_RULES + 1)]
        assert book.upsert(rules) == [MAX_RULES]
        assert book.upsert([Rule("00000", "block", item_id="else")]) == []

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"action": "block"}, "got 0"),
            ({"action": "block", "item_id": "a", "brand": "b"}, "got 2"),
            ({"action": "pin", "category": "a", "position": 1}, "pins an item_id"),
            ({"action": "pin", "item_id": "a", "position": 0}, "got 0"),
            ({"action": "pin", "item_id": "a", "position": 201}, "got 201"),
            ({"action": "block", "item_id": "a", "position": 3}, "pins nothing"),
            ({"action": "boost", "item_id": "a", "factor": 0.0}, "got 0.0"),
            ({"action": "boost", "item_id": "a", "factor": math.nan}, "got nan"),
            ({"action": "block", "item_id": "a", "factor": 2.0}, "boosts nothing"),
            ({"action": "block", "item_id": "a", "from_ms": 5, "until_ms": 5}, "not after its begin"),
        ],
    )
    def test_a_rule_that_makes_no_sense_is_refused(self, parts, message):
        with pytest.raises(InvalidParameterError, match=message):
            Rule("r", **parts)


def test_lists_do_not_depend_on_how_many_users_are_asked_for_at_once():
    table, names = table_of(60), [f"i{n}" for n in range(40)]
    items = [item(f"i{n}", f"c{n % 3}", f"b{n % 4}", price=1.0 + n) for n in range(60)]
    new = [item(f"new-{n}", f"c{n % 3}", f"b{n % 4}", price=2.0 * n) for n in range(20)]
    rules = [Rule("a", "boost", category="c1", factor=3.0), Rule("b", "pin", item_id="i7", position=2)]
    shop = shop_of([*items, *new], rules)
    everyone = Histories.of_session(np.zeros(3, np.uint64)).take(np.zeros(40, np.int64))
    hashes = np.array([[hash_id(name), hash_id("i3"), 0] for name in names], np.uint64)
    everyone = Histories(
        hashes,
        *(
            getattr(everyone, name)
            for name in ("in_session", "session_length", "bought", "bought_ms", "own", "in_event")
        ),
    )
    whole = None
    for size in (1, 7, 40):
        recommender = Recommender(
            policy=PolicySettings(diversity=0.3, popularity_damping=0.2, cold_share=0.1)
        )
        found = []
        for begin in range(0, 40, size):
            lists = recommender.recommend(everyone.take(slice(begin, begin + size)), table, NOW, shop=shop)
            found += zip(lists.items, lists.reasons, lists.scores, strict=True)
        whole = whole or found
        assert [entry[:2] for entry in found] == [entry[:2] for entry in whole]


def test_where_items_lie_is_remembered_and_never_taken_for_another_s_place():
    table = table_of(3)
    shop = shop_of([item("i0", available=False), item("other")], complete=False)
    assert "i0" not in lists_of(shop, table=table)[0]
    shop.catalogue.upsert([item("i1", available=False)])
    assert lists_of(shop, viewer("x"), table=table)[0] == ["i2"]
    shop.catalogue.remove([hash_id("i0")])
    assert set(lists_of(shop, viewer("x"), table=table)[0]) == {"i0", "i2"}
    another = table_of(2)
    another.upsert([NeighbourRow("other", hash_id("other"), "toys", 5.0, 9.0, 9.0, NOW, 9)])
    shop.catalogue.upsert([item("other", available=False)])
    assert set(lists_of(shop, viewer("x"), table=another)[0]) == {"i0"}
