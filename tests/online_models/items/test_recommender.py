import dataclasses

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.direct import DirectNeighbours
from online_models.items.evidence import CandidateSettings
from online_models.items.features import RANK_FEATURES
from online_models.items.histories import Histories
from online_models.items.neighbours import NeighbourRow, NeighbourTable
from online_models.items.own_items import OwnItems
from online_models.items.policy import PolicySettings
from online_models.items.ranker import BASE_WEIGHTS, BaseRanker
from online_models.items.recommender import Recommender
from online_models.items.settings import CooccurrenceSettings
from tests.online_models.items.test_neighbours import CATEGORIES, NOW, row_of, table_of
from tests.online_models.items.workload import DAY_MS, cut, item_hash, log_of, random_touches


def session(*items):
    """Return the history of one user whose session touched items, newest first."""
    return Histories.of_session(np.array([item_hash(item) for item in items], np.uint64))


def together(histories):
    width = max(one.items.shape[1] for one in histories)
    padded = [np.pad(one.items, ((0, 0), (0, width - one.items.shape[1]))) for one in histories]
    return Histories(
        np.concatenate(padded),
        np.concatenate([one.in_session for one in histories]),
        np.concatenate([one.session_length for one in histories]),
        np.concatenate([one.bought for one in histories]),
        np.concatenate([one.bought_ms for one in histories]),
        OwnItems.none(len(histories)),
        np.zeros(len(histories), np.int64),
    )


def features_of(history, source, item, **settings):
    found = Recommender(CandidateSettings(**settings)).candidates(history, source, NOW)
    at = np.flatnonzero(found.row == source.rows_of(np.array([item_hash(item)]))[0])
    assert at.size == 1
    return dict(zip(RANK_FEATURES, found.features[at[0]].tolist(), strict=True))


def percent(share):
    return pytest.approx(np.log1p(100.0 * share) / 3.0, rel=1e-5)


@pytest.fixture(scope="module")
def shop():
    every_change = CooccurrenceSettings(slots=8, published_partners=8, publish_growth=0.0)
    store, table = CooccurrenceStore(every_change), NeighbourTable(every_change)
    for piece in cut(log_of(random_touches(3, 400, span_ms=5 * DAY_MS), categories=CATEGORIES), 50):
        store.apply(piece)
        table.upsert(store.publish())
    return DirectNeighbours(store), table, NOW + 6 * DAY_MS


class TestFeatures:
    SHOP = table_of(
        row_of("a", popularity=4.0, partners=[("x", 2.0, 1.0, 0.25), ("a", 1.0, 0.0, 0.5)]),
        row_of("b", popularity=1.0, partners=[("x", 4.0, 0.0, 0.9)]),
        row_of("x", popularity=16.0),
    )

    def test_shares_are_told_by_position_and_scores_add_up_over_touches(self):
        features = features_of(session("a", "b"), self.SHOP, "x")
        forward = (2.0 / 4.0**0.5 / 1 + 4.0 / 1.0**0.5 / 2) / 16.0**0.25
        backward = 1.0 / 4.0**0.5 / 16.0**0.25
        assert features["forward_last"] == percent(2.0 / 5.0)
        assert features["backward_last"] == percent(1.0 / 5.0)
        assert features["forward_second"] == percent(4.0 / 2.0)
        assert features["forward_older"] == features["backward_second"] == 0.0
        assert features["cooccurrence"] == percent(forward + backward)
        assert features["lag1_share"] == percent(0.25)
        assert features["support"] == pytest.approx(np.log(3.0))
        assert features["log_popularity"] == pytest.approx(np.log(16.0) / 4, rel=1e-5)
        assert features["last_popularity"] == pytest.approx(np.log(4.0) / 4, rel=1e-5)
        assert features["session_length"] == pytest.approx(np.log(3.0) / 2)

    def test_older_touches_are_summed_up_each_by_its_distance(self):
        features = features_of(session("y", "z", "b", "a"), self.SHOP, "x")
        assert features["forward_older"] == percent(4.0 / 2.0 / 1 + 2.0 / 5.0 / 2)

    def test_a_basket_has_no_order_and_counts_as_a_cosine(self):
        forth, back = (features_of(session(*pair), self.SHOP, "x") for pair in (("a", "b"), ("b", "a")))
        assert forth["basket"] == percent((3.0 / 4.0**0.5 + 4.0 / 1.0**0.5) / 16.0**0.5) == back["basket"]

    def test_what_an_event_holds_already_does_not_come_next(self):
        going_on = dataclasses.replace(session("a", "x", "b"), in_event=np.array([2]))
        found = Recommender().candidates(going_on, self.SHOP, NOW)
        assert found.row.tolist() == self.SHOP.rows_of(np.array([item_hash("b")])).tolist()
        assert found.start.tolist() == [0, 1]

    def test_two_steps_lead_over_a_partner_to_its_partners(self):
        shop = table_of(
            row_of("a", popularity=3.0, partners=[("x", 2.0, 0.0, 0.2)]),
            row_of("x", popularity=1.0, partners=[("y", 3.0, 1.0, 0.2)]),
            row_of("y"),
        )
        features = features_of(session("a"), shop, "y")
        assert features["two_steps"] == percent(2.0 / 4.0 * 4.0 / 2.0)
        assert features["support"] == 0.0

    def test_the_last_item_has_its_reload_share_in_a_column_of_its_own(self):
        features = features_of(session("a", "b", "a"), self.SHOP, "a")
        assert features["reload_share"] == percent(0.5)
        assert features["lag1_share"] == 0.0
        assert features["is_last"] == 1.0
        assert features["session_recency"] == 1.0
        assert features["session_count"] == pytest.approx(np.log(3.0))

    def test_touches_of_earlier_sessions_offer_partners_but_are_not_in_session(self):
        visited = dataclasses.replace(
            session("a", "b"), in_session=np.array([0]), session_length=np.array([0])
        )
        assert features_of(visited, self.SHOP, "a")["session_recency"] == 0.0
        assert features_of(visited, self.SHOP, "x")["forward_last"] > 0.0

    def test_own_items_of_any_session_are_candidates_with_count_and_age(self):
        own = OwnItems(
            *(
                np.array([c], t)
                for c, t in (
                    ([item_hash("x"), item_hash("b")], np.uint64),
                    ([3, 1], np.uint16),
                    ([1000, 5000], np.uint32),
                )
            )
        )
        history = dataclasses.replace(session("lonely"), own=own)
        features = features_of(history, self.SHOP, "x")
        assert (features["own"], features["support"]) == (1.0, 0.0)
        assert features["own_count"] == pytest.approx(np.log(4.0))
        assert features["own_age"] == pytest.approx(np.log(4001.0) / 10)
        assert features["fallback_popularity"] == 0.0

    def test_prices_are_compared_with_the_last_item(self):
        def priced(item, price, **rest):
            return dataclasses.replace(row_of(item, **rest), price=price)

        shop = table_of(priced("a", 10.0, partners=[("x", 1.0, 0.0, 0.1)]), priced("x", 5.0), row_of("u"))
        assert features_of(session("a"), shop, "x")["price_gap"] == pytest.approx(np.log(2.0))
        assert features_of(session("u", "a"), shop, "x")["price_gap"] == 0.0

    def test_weights_decay_to_the_present(self):
        half = CooccurrenceSettings().half_life_ms
        old = table_of(
            row_of("a", time_ms=NOW - 2 * half, popularity=4.0, partners=[("x", 2.0, 0.0, 0.0)]),
            row_of("x", popularity=1.0),
        )
        assert features_of(session("a"), old, "x")["cooccurrence"] == percent(0.5 / 1.0**0.5)

    def test_no_more_candidates_are_kept_than_wanted_the_most_promising_first(self, shop):
        _, table, now = shop
        history = session("item-1", "item-2")
        every = Recommender(CandidateSettings(kept=1000)).candidates(history, table, now)
        some = Recommender(CandidateSettings(kept=5)).candidates(history, table, now)
        assert some.row.tolist() == every.row[:5].tolist()
        np.testing.assert_array_equal(some.features, every.features[:5])

    def test_what_several_touches_speak_for_is_kept_before_what_one_does(self):
        shop = table_of(
            row_of("a", popularity=4.0, partners=[("one", 2.0, 0.0, 0.0), ("both", 1.0, 0.0, 0.0)]),
            row_of("b", popularity=4.0, partners=[("both", 1.0, 0.0, 0.0)]),
            row_of("one", popularity=4.0),
            row_of("both", popularity=4.0),
        )
        only = CandidateSettings(popular=0, second_positions=0, kept=1)
        found = Recommender(only).candidates(session("a", "b"), shop, NOW)
        assert [shop.item_id(row) for row in found.row.tolist()] == ["both"]
        alone = Recommender(only).candidates(session("a"), shop, NOW)
        assert [shop.item_id(row) for row in alone.row.tolist()] == ["one"]

    def test_every_source_gives_the_strongest_partners_first(self, shop):
        direct, table, _ = shop
        for source in (direct, table):
            rows = np.arange(min(source.size, 20))
            whole, few = source.neighbours(rows), source.neighbours(rows, 3)
            both = np.where(whole.partners >= 0, whole.weights[:, :, :2].sum(axis=2), -1.0)
            assert (np.diff(both, axis=1) <= 1e-6).all()
            assert (few.partners == whole.partners[:, :3]).all()
            assert (few.weights == whole.weights[:, :3]).all()


class TestRank:
    def test_a_user_gets_the_same_ranking_alone_and_among_others(self, shop):
        _, table, now = shop
        users = [session(*(f"item-{(7 * u + i * i) % 40}" for i in range(u % 7))) for u in range(150)]
        recommender = Recommender()
        joint = recommender.rank(together(users), table, now)
        for user, history in enumerate(users):
            alone = recommender.rank(history, table, now)
            np.testing.assert_array_equal(alone.rows[0], joint.rows[user])
            np.testing.assert_allclose(alone.scores[0], joint.scores[user], rtol=1e-5)

    def test_the_table_ranks_like_the_store_behind_it(self, shop):
        direct, table, now = shop
        for start in range(25):
            history = session(*(f"item-{start + i}" for i in range(4)))
            named = []
            for source in (direct, table):
                ranking = Recommender().rank(history, source, now, k=8)
                named.append([source.item_id(int(row)) for row in ranking.rows[0] if row >= 0])
            assert named[0] == named[1]

    def test_rows_are_distinct_and_scores_descend(self, shop):
        _, table, now = shop
        ranking = Recommender().rank(session("item-1", "item-2"), table, now)
        assert len(set(ranking.rows[0].tolist())) == 20
        assert (np.diff(ranking.scores[0]) <= 0).all()

    @pytest.mark.parametrize(
        "empty",
        [table_of(), DirectNeighbours(CooccurrenceStore(CooccurrenceSettings()))],
        ids=["table", "store"],
    )
    def test_an_empty_shop_has_nothing_to_rank(self, empty):
        ranking = Recommender().rank(session("a"), empty, NOW)
        assert (ranking.rows == -1).all()
        assert Recommender().recommend(session("a"), empty, NOW).items == [[]]

    def test_no_users_have_no_lists(self, shop):
        _, table, now = shop
        nobody = session("item-1").take(slice(0, 0))
        assert Recommender().rank(nobody, table, now).rows.shape == (0, 20)
        assert Recommender().recommend(nobody, table, now).items == []


class TestPolicy:
    SHOP = table_of(
        *(row_of(f"toy-{i}", category="toys", popularity=50.0 - i) for i in range(20)),
        *(row_of(f"book-{i}", category="books", popularity=5.0) for i in range(3)),
        row_of("seen", category="toys", partners=[("toy-0", 5.0, 1.0, 0.5)]),
    )

    def listed(self, history, now_ms=NOW, *, k=10, **policy):
        recommender = Recommender(policy=PolicySettings(**policy))
        return recommender.recommend(history, self.SHOP, now_ms, k).items[0]

    def test_items_bought_lately_are_left_out_until_the_window_has_passed(self):
        history = session("seen")
        bought = dataclasses.replace(
            history,
            bought=np.array([[item_hash("toy-0"), 0, item_hash("never seen")]], np.uint64),
            bought_ms=np.array([[NOW - DAY_MS, 0, NOW]]),
        )
        assert "toy-0" not in self.listed(bought)
        assert "toy-0" in self.listed(bought, repurchase_window_ms=DAY_MS)
        assert "toy-0" in self.listed(bought, NOW + 15 * DAY_MS)

    def test_a_category_fills_its_share_before_others_and_the_rest_after(self):
        items = self.listed(session("seen"), category_share=0.5)
        assert [item.startswith("book") for item in items].count(True) == 3
        assert all(not item.startswith("book") for item in [*items[:5], *items[8:]])
        alike = self.listed(session("seen"), category_share=1.0)
        assert not any(item.startswith("book") for item in alike)

    def test_a_user_without_history_gets_what_is_popular(self):
        assert self.listed(session(), category_share=1.0, k=3) == ["toy-0", "toy-1", "toy-2"]

    def test_an_item_known_by_its_hash_only_is_ranked_but_not_listed(self):
        nameless = row_of("a", partners=[("b", 1.0, 0.0, 0.5)])
        columns = {field: getattr(nameless, field) for field in nameless.__slots__}
        shop = table_of(NeighbourRow(**columns | {"partner_ids": [""]}))
        assert (Recommender().rank(session("a"), shop, NOW).rows[0] >= 0).sum() == 2
        gone = dataclasses.replace(
            session("a"), in_session=np.array([0])
        )  # "a" is not on the screen any more
        assert Recommender().recommend(gone, shop, NOW).items == [["a"]]

    def test_the_item_being_looked_at_is_ranked_but_not_listed(self):
        shop = table_of(row_of("a", partners=[("b", 1.0, 0.0, 0.5)]), row_of("b"))
        assert (Recommender().rank(session("a"), shop, NOW).rows[0] >= 0).sum() == 2
        assert Recommender().recommend(session("a"), shop, NOW).items == [["b"]]


class TestReasons:
    SHOP = table_of(
        row_of("a", category="toys", partners=[("next", 3.0, 0.0, 0.5), ("before", 0.0, 2.0, 0.0)]),
        row_of("b", partners=[("next", 1.0, 0.0, 0.5)]),
        row_of("next"),
        row_of("before"),
        row_of("same", category="toys"),
        row_of("other", category="books"),
    )

    def test_every_item_says_why_it_is_there(self):
        lists = Recommender().recommend(session("a", "b", "b"), self.SHOP, NOW)
        assert dict(zip(lists.items[0], lists.reasons[0], strict=True)) == {
            "b": "you viewed it 1 touch ago",
            "next": "people who viewed a next viewed this",
            "before": "people viewed this before a",
            "same": "popular in toys",
            "other": "popular now",
        }
        assert len(lists.scores[0]) == len(lists.items[0])


class TestBaseRanker:
    def test_scores_are_the_weighted_sums(self):
        weights = dict.fromkeys(RANK_FEATURES, 0.0) | {"forward_last": 2.0, "rank": -1.0}
        rows = np.zeros((1, len(RANK_FEATURES)), np.float32)
        rows[0, 0], rows[0, RANK_FEATURES.index("rank")] = 3.0, 1.0
        assert BaseRanker(weights).score_many(rows).tolist() == [5.0]

    @pytest.mark.parametrize(
        "weights", [{}, BASE_WEIGHTS | {"unknown": 1.0}, BASE_WEIGHTS | {"forward_last": float("nan")}]
    )
    def test_wrong_weights_are_refused(self, weights):
        with pytest.raises(InvalidParameterError, match="weights"):
            BaseRanker(weights)

    def test_another_ranker_plugs_in(self):
        class ByPopularity:
            def score_many(self, features):
                return features[:, RANK_FEATURES.index("log_popularity")].astype(float)

        table = table_of(row_of("a", popularity=2.0), row_of("b", popularity=8.0))
        assert Recommender(ranker=ByPopularity()).recommend(session(), table, NOW).items == [["b", "a"]]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (CandidateSettings, "positions", 0),
        (CandidateSettings, "source_power", 1.5),
        (CandidateSettings, "popular", -1),
        (PolicySettings, "repurchase_window_ms", -1),
        (PolicySettings, "category_share", 0.0),
        (PolicySettings, "depth", 0),
        (PolicySettings, "diversity", 1.0),
        (PolicySettings, "popularity_damping", 1.5),
        (PolicySettings, "cold_share", 0.6),
    ],
)
def test_settings_name_the_parameter_and_its_value(make, name, value):
    with pytest.raises(InvalidParameterError, match=f"{name}.*{value}"):
        make(**{name: value})
