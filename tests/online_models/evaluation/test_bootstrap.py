"""Intervals of differences: equal to resampling the rows themselves, and of the promised width."""

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.evaluation import classification
from online_models.evaluation.bootstrap import Draws, interval_of_aucs, interval_of_means


def some_cases(seed=1, cases=300, users=40):
    random = np.random.default_rng(seed)
    return (
        (random.random(cases) < 0.4).astype(np.int8),
        random.integers(0, 9, cases) / 9,
        random.random(cases),
        random.permutation(np.arange(cases) % users),
    )


def resampled(users, draws):
    for block in draws.weights(int(users.max()) + 1):
        for weights in block:
            yield np.repeat(np.arange(len(users)), weights[users].astype(int))


class TestAgainstBruteForce:
    def test_means_equal_those_of_the_drawn_rows(self):
        _, first, second, users = some_cases()
        draws = Draws(count=50)
        drawn = [first[rows].mean() - second[rows].mean() for rows in resampled(users, draws)]
        found = interval_of_means(first, second, users, draws)
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
        assert found.difference == pytest.approx(first.mean() - second.mean())

    def test_aucs_equal_those_of_the_drawn_rows(self):
        labels, first, second, users = some_cases()
        draws = Draws(count=50)
        drawn = [
            classification.auc(labels[rows], first[rows]) - classification.auc(labels[rows], second[rows])
            for rows in resampled(users, draws)
        ]
        found = interval_of_aucs(labels, first, second, users, draws)
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


class TestInterval:
    def test_pairing_finds_a_small_difference_that_holds_for_everyone(self):
        _, _, second, users = some_cases()
        found = interval_of_means(second + 0.01, second, users)
        assert found.low == pytest.approx(0.01)
        assert found.high == pytest.approx(0.01)

    def test_cases_of_one_user_do_not_count_as_independent(self):
        random = np.random.default_rng(2)
        per_user = random.normal(size=50)
        alike, users = np.repeat(per_user, 20), np.repeat(np.arange(50), 20)
        clustered = interval_of_means(alike, np.zeros(1000), users)
        naive = interval_of_means(alike, np.zeros(1000), np.arange(1000))
        assert clustered.high - clustered.low > 3 * (naive.high - naive.low)

    def test_the_same_seed_gives_the_same_interval(self):
        _, first, second, users = some_cases()
        assert interval_of_means(first, second, users) == interval_of_means(first, second, users)

    def test_no_cases_give_nan_and_bad_parameters_are_named(self):
        nothing = np.array([])
        found = interval_of_means(nothing, nothing, nothing.astype(np.int64))
        assert np.isnan([found.difference, found.low, found.high]).all()
        with pytest.raises(InvalidParameterError, match="count must be at least 1, got 0"):
            Draws(count=0)
        with pytest.raises(InvalidParameterError, match="level must be between 0 and 1, got 1"):
            Draws(level=1)
