import numpy as np
import pytest

from online_models.events import hash_id
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.direct import DirectNeighbours
from online_models.items.neighbours import NeighbourRow, NeighbourTable
from online_models.items.settings import CooccurrenceSettings
from tests.online_models.items.workload import DAY_MS, cut, item_hash, log_of, random_touches

EVERY_CHANGE = CooccurrenceSettings(slots=8, published_partners=8, publish_growth=0.0)
NOW = 1_700_000_000_000
CATEGORIES = {f"item-{i}": ("toys", "books", "")[i % 3] for i in range(30)}


def row_of(item, *, category="", popularity=1.0, time_ms=NOW, partners=()):
    names = [name for name, *_ in partners]
    return NeighbourRow(
        item_id=item,
        item_hash=hash_id(item),
        category=category,
        price=float("nan"),
        popularity=popularity,
        lately=popularity,
        time_ms=time_ms,
        touches=int(popularity),
        partner_ids=names,
        partner_hashes=np.array([hash_id(name) for name in names], np.uint64),
        weights=np.array([weights for _, *weights in partners], np.float32).reshape(-1, 3),
    )


def table_of(*rows):
    table = NeighbourTable(CooccurrenceSettings())
    table.upsert(rows)
    return table


def known_row(table, item):
    return int(table.rows_of(np.array([item_hash(item)]))[0])


class TestUpsert:
    def test_a_later_row_replaces_an_earlier_one_also_within_a_batch(self):
        table = table_of(row_of("a", partners=[("b", 1, 0, 0), ("c", 1, 0, 0)]), row_of("a", popularity=3.0))
        near = table.neighbours(np.array([known_row(table, "a")]))
        assert (near.partners == -1).all()
        table.upsert([row_of("a", popularity=4.0, partners=[("c", 2, 1, 0.5)])])
        near = table.neighbours(np.array([known_row(table, "a")]))
        assert near.partners[0, :2].tolist() == [known_row(table, "c"), -1]
        assert near.weights[0, 0].tolist() == [2.0, 1.0, 0.5]
        assert table.touches[known_row(table, "a")] == 4

    def test_a_partner_is_known_before_its_own_row_and_unpopular(self):
        table = table_of(row_of("a", partners=[("b", 1, 0, 0)]))
        at = known_row(table, "b")
        assert table.item_id(at) == "b"
        assert table.heat(np.array([at]))[0][0] == -np.inf
        assert at not in table.popular()

    def test_a_name_that_came_later_is_learned(self):
        nameless = row_of("a", partners=[("b", 1, 0, 0)])
        table = table_of(
            NeighbourRow(**{**{f: getattr(nameless, f) for f in nameless.__slots__}, "partner_ids": [""]})
        )
        assert table.names_of(np.array([hash_id("b")], np.uint64)) == [""]
        table.upsert([row_of("b")])
        assert table.names_of(np.array([hash_id("b"), 7], np.uint64)) == ["b", ""]

    def test_the_table_grows(self):
        table = NeighbourTable(CooccurrenceSettings(), capacity=2)
        table.upsert([row_of(f"i{n}", partners=[(f"p{n}", 1, 0, 0)]) for n in range(50)])
        assert len(table) == 100
        assert table.item_id(known_row(table, "i49")) == "i49"

    def test_a_removed_item_is_neither_popular_nor_has_it_partners(self):
        table = table_of(row_of("a", partners=[("b", 1, 0, 0)]), row_of("b"))
        table.remove([hash_id("a"), hash_id("never seen")])
        assert (
            known_row(table, "a") not in table.popular()[: len(table)].tolist() or table.popular().size == 0
        )
        assert (table.neighbours(np.array([known_row(table, "a")])).partners == -1).all()

    def test_rows_of_removed_items_are_used_again_once_nobody_speaks_of_them(self, monkeypatch):
        monkeypatch.setattr("online_models.items.neighbours._MARGIN", 10)
        table = table_of(row_of("keeper", category="kept", partners=[("i0-1", 1, 0, 0)]))
        for turn in range(30):
            names = [f"i{turn}-{n}" for n in range(20)]
            table.upsert([row_of(name, category=f"of {turn}", partners=[("p", 1, 0, 0)]) for name in names])
            assert table.category(known_row(table, names[0])) == f"of {turn}"
            assert table.item_id(int(table.popular()[-1])) in {"keeper", *names}
            table.remove([hash_id(name) for name in names])
        assert len(table) < 60
        assert table.size < 100
        keeper = known_row(table, "keeper")
        partner = int(table.neighbours(np.array([keeper])).partners[0, 0])
        assert table.item_id(partner) == "i0-1", "still spoken of"
        assert table.category(keeper) == "kept"
        assert len(table._category_name) < 30
        assert [table.item_id(row) for row in table.popular()] == ["keeper"]

    def test_nothing_changes_nothing(self):
        table = table_of()
        assert len(table) == 0
        assert table.popular().size == 0


class TestLists:
    def test_popularity_is_compared_at_a_common_time(self):
        half = CooccurrenceSettings().half_life_ms
        table = table_of(
            row_of("old", popularity=3.0, time_ms=NOW), row_of("new", popularity=2.0, time_ms=NOW + half)
        )
        assert [table.item_id(row) for row in table.popular()] == ["new", "old"]

    def test_a_category_lists_its_own_items_hottest_first(self):
        table = table_of(
            row_of("a", category="toys", popularity=1),
            row_of("b", category="toys", popularity=5),
            row_of("c", category="books", popularity=9),
            row_of("d", popularity=9),
        )
        asked = np.array([known_row(table, "a"), known_row(table, "d"), -1])
        listed = table.of_same_category(asked)
        assert [table.item_id(row) for row in listed[0] if row >= 0] == ["b", "a"]
        assert (listed[1:] == -1).all()
        assert table.category(known_row(table, "c")) == "books"


class TestSources:
    """The broadcast table, fed with every change, shows what reading the store directly shows."""

    @pytest.fixture
    def sources(self):
        store, table = CooccurrenceStore(EVERY_CHANGE), NeighbourTable(EVERY_CHANGE)
        for piece in cut(log_of(random_touches(3, 300, span_ms=5 * DAY_MS), categories=CATEGORIES), 20):
            store.apply(piece)
            table.upsert(store.publish())
        return DirectNeighbours(store), table

    def test_partners_and_weights_agree(self, sources):
        direct, table = sources
        hashes = table.hash[: len(table)]
        instant = 1_700_000_000_000 / EVERY_CHANGE.half_life_ms
        for value in hashes:
            shown = []
            for source in sources:
                near = source.neighbours(source.rows_of(np.array([value])))
                scale = 2.0 ** (near.instant[0] - instant)
                shown.append(
                    {
                        source.item_id(int(row)): weights * [scale, scale, 1.0]
                        for row, weights in zip(near.partners[0], near.weights[0], strict=True)
                        if row >= 0
                    }
                )
            assert shown[0].keys() == shown[1].keys()
            for name, weights in shown[0].items():
                np.testing.assert_allclose(weights, shown[1][name], rtol=1e-4)
        assert direct.size == table.size

    def test_heat_categories_and_lists_agree(self, sources):
        direct, table = sources
        hashes = table.hash[: len(table)]
        np.testing.assert_allclose(
            direct.heat(direct.rows_of(hashes)), table.heat(table.rows_of(hashes)), rtol=1e-9
        )
        for value in hashes:
            at = [int(source.rows_of(np.array([value]))[0]) for source in sources]
            assert direct.category(at[0]) == table.category(at[1])
            listed = [
                [source.item_id(int(r)) for r in source.of_same_category(np.array([row]))[0] if r >= 0]
                for source, row in zip(sources, at, strict=True)
            ]
            assert listed[0] == listed[1]
        assert [direct.item_id(r) for r in direct.popular()] == [table.item_id(r) for r in table.popular()]
