"""The simple recommenders against their definitions."""

import math
from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.errors import InvalidParameterError
from online_models.evaluation.baselines import (
    AssociationRules,
    OwnHistory,
    Popularity,
    SequentialRules,
    Vsknn,
    Vstan,
)

sessions = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=8), min_size=1, max_size=6)


def learned(baseline, sessions):
    for number, session in enumerate(sessions):
        for place, item in enumerate(session):
            baseline.learn(f"u:{number}", session[:place], item)
    return baseline


def weights_in_order(listed, weights):
    return [round(weights[item], 9) for item in listed]


class TestPopularity:
    @given(st.lists(st.integers(1, 9), max_size=200), st.integers(1, 12))
    def test_lists_the_largest_counts_at_any_time(self, touches, longest):
        popular, counts = Popularity(longest), Counter()
        for item in touches:
            popular.learn("u:x", [], item)
            counts[item] += 1
            listed = popular.rank("u:x", [], longest)
            assert len(set(listed)) == len(listed)
            assert [counts[i] for i in listed] == [count for _, count in counts.most_common(longest)]
            assert popular.share(item) == counts[item] / counts.total()
        assert len(popular) == len(counts)


class TestAssociationRules:
    @given(sessions)
    def test_counts_pairs_of_touches_of_one_session_both_ways(self, sessions):
        rules = learned(AssociationRules(), sessions)
        for last in range(1, 7):
            together = Counter()
            for session in sessions:
                for one, other in permutations(session, 2):
                    together[other] += one == last
            together = +together
            listed = rules.rank("u:x", [last], 6)
            assert set(listed) == set(together)
            assert weights_in_order(listed, together) == sorted(together.values(), reverse=True)


class TestSequentialRules:
    @given(sessions, st.integers(1, 4))
    def test_adds_one_over_the_distance(self, sessions, reach):
        rules = learned(SequentialRules(reach), sessions)
        for last in range(1, 7):
            weights = Counter()
            for session in sessions:
                for place, item in enumerate(session):
                    for distance in range(1, reach + 1):
                        if place >= distance and session[place - distance] == last:
                            weights[item] += 1 / distance
            listed = rules.rank("u:x", [3, last], 6)
            assert set(listed) == set(weights)
            assert weights_in_order(listed, weights) == pytest.approx(
                sorted(weights.values(), reverse=True), abs=1e-6
            )


class TestRows:
    def test_a_row_keeps_its_heavy_partners_when_it_is_cut(self):
        rules = SequentialRules()
        for _ in range(3):
            rules.learn("u:x", [1], 2)
        for item in range(10, 3000):
            rules.learn("u:x", [1], item)
        assert rules.rank("u:x", [1], 1) == [2]
        assert len(rules.rank("u:x", [1], 5000)) <= 1000


class TestOwnHistory:
    @given(st.lists(st.integers(1, 5), max_size=30))
    def test_orders_by_count_then_recency(self, touches):
        own = OwnHistory()
        for item in touches:
            own.learn("u:ann", [], item)
        counts, last = Counter(touches), {item: place for place, item in enumerate(touches)}
        assert own.rank("u:ann", [], 9) == sorted(counts, key=lambda item: (-counts[item], -last[item]))


@pytest.mark.parametrize("kind", [Popularity, AssociationRules, SequentialRules])
def test_sizes_are_checked(kind):
    with pytest.raises(InvalidParameterError, match="must be at least 1, got 0"):
        kind(0)


@pytest.mark.parametrize("kind", [Popularity, AssociationRules, SequentialRules, OwnHistory])
def test_an_empty_past_gives_an_empty_list(kind):
    assert kind().rank("u:ann", [], 5) == []
    assert kind().rank("u:ann", [1], 5) == []


def fed(baseline, *sessions, gap_ms=60_000):
    for number, session in enumerate(sessions):
        for place, item in enumerate(session):
            baseline.learn(f"a:{number}", list(session[:place]), item, number * gap_ms)
    return baseline


class TestSessionNeighbours:
    @pytest.mark.parametrize("kind", [Vsknn, Vstan])
    def test_items_of_similar_sessions_come_and_the_more_similar_first(self, kind):
        near = fed(kind(idf=0.0), [1, 2, 3], [2, 4, 8, 9], [5, 6])
        ranked = near.rank("a:new", [1, 2], 10, 180_000)
        assert ranked.index(3) < ranked.index(4)
        assert 5 not in ranked

    @pytest.mark.parametrize("kind", [Vsknn, Vstan])
    def test_the_own_session_is_no_neighbour_but_other_running_ones_are(self, kind):
        near = fed(kind(), [1, 2], [7, 8])
        assert near.rank("a:0", [1, 2], 10, 0) == []
        assert set(near.rank("a:5", [1], 10, 0)) == {1, 2}

    @pytest.mark.parametrize("kind", [Vsknn, Vstan])
    def test_only_the_latest_sessions_with_an_item_are_looked_at(self, kind):
        near = fed(kind(latest=2), [1, 2], [1, 3], [1, 4])
        assert set(near.rank("a:9", [1], 10, 0)) == {1, 3, 4}

    def test_vsknn_follows_its_formula(self):
        near = fed(Vsknn(idf=0.0), [1, 2, 3])
        scores = {}
        near._vote(scores, near._present["a:0"], 0.5, {9: 1, 2: 2}, 4)
        # The latest shared item is two steps back.
        assert scores == pytest.approx(dict.fromkeys((1, 2, 3), 0.5 * 0.8))
        assert near._similarity(1.5, near._present["a:0"], 0) == 0.5

    def test_vstan_follows_its_formula(self):
        near = fed(Vstan(idf=1.0), [1, 2, 3], [3, 4])
        one, day = near._present["a:0"], 86_400_000
        assert near._similarity(2.0, one, day) == pytest.approx(2.0 / 3**0.5 * math.exp(-1 / 5))
        scores = {}
        near._vote(scores, one, 1.0, {2: 3}, 3)
        rare = 1 + math.log(2)
        assert scores[2] == pytest.approx(rare)
        assert scores[1] == pytest.approx(rare * math.exp(-1 / 2.05))
        assert scores[3] == pytest.approx(math.exp(-1 / 2.05))

    @pytest.mark.parametrize("name", ["latest", "neighbours"])
    def test_bad_bounds_are_named(self, name):
        with pytest.raises(InvalidParameterError, match=name):
            Vstan(**{name: 0})
