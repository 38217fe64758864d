"""The boosted trees of a week know nothing but the labels of the weeks before."""

import sys

import numpy as np
import pytest

from online_models.churn.features import FEATURE_NAMES
from online_models.churn.labels import CHURN, ExampleBatch
from online_models.evaluation.churn_boosting import REFIT_MS, MissingPackageError, WeeklyBoosting


def examples(count, landmark_ms, seed, *, flipped=False):
    random = np.random.default_rng(seed)
    x = random.normal(0, 1, (count, len(FEATURE_NAMES))).astype(np.float32)
    label = ((x[:, 0] > 0) ^ flipped).astype(np.int8)
    times = np.full(count, landmark_ms)
    return ExampleBatch(
        np.full(count, CHURN, np.int8), x, label, times, times, np.arange(count).astype(np.uint64)
    )


def test_it_learns_from_labels_known_before_the_week_and_from_no_later_ones():
    pytest.importorskip("lightgbm")
    trees = WeeklyBoosting()
    trees.learn(examples(400, 0, seed=1), now_ms=3 * REFIT_MS - 1)
    asked = examples(100, 3 * REFIT_MS + 5, seed=2)
    before = trees.predict(asked)
    assert ((before > 0.5) == asked.label).mean() > 0.9
    again = WeeklyBoosting()
    again.learn(examples(400, 0, seed=1), now_ms=3 * REFIT_MS - 1)
    again.learn(examples(400, 0, seed=3, flipped=True), now_ms=3 * REFIT_MS)
    assert again.predict(asked).tolist() == before.tolist()


def test_without_labels_it_says_a_half():
    pytest.importorskip("lightgbm")
    assert WeeklyBoosting().predict(examples(3, 0, seed=1)).tolist() == [0.5] * 3


def test_where_it_is_missing_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingPackageError, match="pip install"):
        WeeklyBoosting()
