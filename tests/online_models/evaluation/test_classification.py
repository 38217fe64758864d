"""The measures against their definitions, by brute force."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.errors import InvalidParameterError
from online_models.evaluation import classification

outcomes = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=30)


def columns(rows):
    return np.array([row[0] for row in rows], dtype=np.int8), np.array([row[1] / 8 for row in rows])


class TestAuc:
    @given(outcomes)
    def test_is_the_share_of_ordered_pairs_of_positive_and_negative(self, rows):
        labels, scores = columns(rows)
        pairs = [(p, n) for p in scores[labels == 1] for n in scores[labels == 0]]
        expected = (
            np.mean([1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs]) if pairs else math.nan
        )
        assert classification.auc(labels, scores) == pytest.approx(expected, nan_ok=True)

    @given(outcomes)
    def test_does_not_change_under_a_monotone_map_of_the_scores(self, rows):
        labels, scores = columns(rows)
        assert classification.auc(labels, np.exp(3 * scores)) == pytest.approx(
            classification.auc(labels, scores), nan_ok=True
        )


class TestLosses:
    def test_log_loss_of_a_certain_miss_is_large_and_finite(self):
        assert 30 < classification.log_loss(np.array([1]), np.array([0.0])) < 40

    @given(outcomes)
    def test_brier_and_log_loss_are_least_for_the_outcomes_themselves(self, rows):
        labels, scores = columns(rows)
        truth = labels.astype(np.float64)
        assert classification.brier(labels, truth) == 0 <= classification.brier(labels, scores)
        assert classification.log_loss(labels, truth) <= classification.log_loss(labels, scores) + 1e-12

    @given(outcomes)
    def test_calibration_error_equals_the_weighted_gaps_of_the_bins(self, rows):
        labels, scores = columns(rows)
        bins = [min(int(score * 10), 9) for score in scores]
        expected = 0.0
        for place in set(bins):
            inside = np.array([b == place for b in bins])
            expected += inside.mean() * abs(scores[inside].mean() - labels[inside].mean())
        assert classification.calibration_error(labels, scores) == pytest.approx(expected)


class TestTop:
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=7), st.integers(0, 8))
    def test_hits_are_the_mean_over_every_way_to_break_ties(self, rows, top):
        labels, scores = columns(rows)
        ways = [
            way
            for way in combinations(range(len(rows)), min(top, len(rows)))
            if all(scores[i] >= scores[j] for i in way for j in range(len(rows)) if j not in way)
        ]
        expected = np.mean([sum(labels[i] for i in way) for way in ways])
        assert classification.hits_in_top(labels, scores, top) == pytest.approx(expected)

    @given(outcomes)
    def test_no_lift_is_above_the_ceiling_and_the_truth_reaches_it(self, rows):
        labels, scores = columns(rows)
        ceiling = classification.lift_ceiling(labels)
        if labels.any():
            assert classification.top_decile_lift(labels, scores) <= ceiling + 1e-9
        assert classification.top_decile_lift(labels, labels * 1.0) == pytest.approx(ceiling, nan_ok=True)

    def test_ceiling_is_one_over_the_base_rate_when_positives_are_many(self):
        labels = np.array([1] * 60 + [0] * 40)
        assert classification.lift_ceiling(labels) == pytest.approx(1 / 0.6)

    def test_budget_is_spent_in_every_round(self):
        labels = np.array([1, 0, 0, 0, 1])
        scores = np.array([0.9, 0.8, 0.1, 0.7, 0.2])
        rounds = np.array([1, 1, 1, 2, 2])
        assert classification.precision_at_budget(labels, scores, rounds, 1) == 0.5
        assert classification.precision_at_budget(labels, scores, rounds, 2) == 0.5
        assert classification.precision_at_budget(labels, scores, rounds, 9) == 0.4

    def test_nothing_to_judge_is_nan_and_not_an_error(self):
        nothing = np.array([], dtype=np.int8), np.array([])
        for measure in (
            classification.auc,
            classification.log_loss,
            classification.brier,
            classification.calibration_error,
            classification.top_decile_lift,
        ):
            assert math.isnan(measure(*nothing))
        assert math.isnan(classification.lift_ceiling(nothing[0]))
        assert math.isnan(classification.precision_at_budget(*nothing, np.array([], dtype=np.int64), 3))

    def test_bad_parameters_are_named(self):
        with pytest.raises(InvalidParameterError, match="bins must be at least 1, got 0"):
            classification.calibration_error(np.array([1]), np.array([1.0]), bins=0)
        with pytest.raises(InvalidParameterError, match="budget must be at least 1, got 0"):
            classification.precision_at_budget(np.array([1]), np.array([1.0]), np.array([0]), 0)
