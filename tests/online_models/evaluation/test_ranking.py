"""Ranking measures against their definitions, by brute force."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.errors import InvalidParameterError
from online_models.evaluation.ranking import ListProperties, RankingQuality, gini, ranks_of

ranks = st.lists(st.tuples(st.integers(-1, 12), st.booleans()), min_size=1, max_size=30)


class TestRankingQuality:
    @given(ranks)
    def test_equals_the_definition_with_and_without_repeats(self, cases):
        quality = RankingQuality(cutoffs=(1, 5, 10))
        quality.update(np.array([c[0] for c in cases]), np.array([c[1] for c in cases]))
        found = quality.get()
        for prefix, chosen in (("", cases), ("new_", [c for c in cases if not c[1]])):
            for cutoff in (1, 5, 10):
                hit = [rank for rank, _ in chosen if 0 <= rank < cutoff]
                rate = len(hit) / len(chosen) if chosen else math.nan
                mrr = sum(1 / (rank + 1) for rank in hit) / len(chosen) if chosen else math.nan
                assert found[f"{prefix}hit_rate@{cutoff}"] == pytest.approx(rate, nan_ok=True)
                assert found[f"{prefix}mrr@{cutoff}"] == pytest.approx(mrr, nan_ok=True)

    @given(ranks, st.integers(0, 30))
    def test_does_not_depend_on_where_the_cases_are_cut(self, cases, cut):
        place, repeat = np.array([c[0] for c in cases]), np.array([c[1] for c in cases])
        whole, parts = RankingQuality(), RankingQuality()
        whole.update(place, repeat)
        parts.update(place[:cut], repeat[:cut])
        parts.update(place[cut:], repeat[cut:])
        assert parts.get() == pytest.approx(whole.get(), nan_ok=True)

    def test_cutoffs_are_checked(self):
        with pytest.raises(InvalidParameterError, match=r"cutoffs must be at least 1, got \(0,\)"):
            RankingQuality(cutoffs=(0,))

    def test_ranks_count_from_the_head_of_the_list(self):
        lists = np.array([[5, 6, 0], [5, 6, 7], [0, 0, 0]], dtype=np.uint64)
        assert ranks_of(np.array([6, 7, 5], dtype=np.uint64), lists).tolist() == [1, 2, -1]


class TestListProperties:
    @given(
        st.lists(st.lists(st.integers(1, 9), min_size=2, max_size=5, unique=True), min_size=1, max_size=6),
        st.lists(st.integers(0, 2), min_size=10, max_size=10),
    )
    def test_equals_the_definitions(self, rows, categories):
        width = max(map(len, rows))
        lists = np.array([row + [0] * (width - len(row)) for row in rows], dtype=np.uint64)
        category = np.array(categories, dtype=np.uint64)[lists.astype(np.int64)]
        share = np.where(lists > 0, lists / 64, 0.0)
        properties = ListProperties()
        properties.update(lists, share, category)
        found = properties.get(known=12)

        flat = [item for row in rows for item in row]
        assert found["coverage"] == pytest.approx(len(set(flat)) / 12)
        assert found["novelty"] == pytest.approx(-np.mean([math.log2(item / 64) for item in flat]))
        counts = np.array([flat.count(item) for item in range(1, 13)])
        differences = np.abs(counts[:, None] - counts[None, :]).sum()
        assert found["gini"] == pytest.approx(differences / (2 * 12 * counts.sum()))
        unlike = [
            np.mean([a != b for a, b in combinations(known, 2)])
            for known in ([categories[item] for item in row if categories[item]] for row in rows)
            if len(known) > 1
        ]
        assert found["diversity"] == pytest.approx(np.mean(unlike) if unlike else math.nan, nan_ok=True)

    def test_undefined_properties_are_nan(self):
        assert all(math.isnan(value) for name, value in ListProperties().get(known=0).items())
        assert math.isnan(gini(np.array([0.0]), 3))
