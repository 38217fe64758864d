"""Confidence sequences hold at every moment, and shrink."""

import numpy as np
import pytest

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.experiments.confidence import MeanSequences

RUNS = 500


def ever_wrong(draw, mean, steps=1_500, alpha=0.05):
    """Return the share of runs whose interval lacks the mean at any of so many looks."""
    means, wrong = MeanSequences(RUNS), np.zeros(RUNS, np.bool_)
    for _ in range(steps):
        means.update(draw(RUNS))
        low, high = means.interval(alpha)
        wrong |= (low > mean) | (high < mean)
    return wrong.mean()


@pytest.mark.parametrize("mean", [0.02, 0.3, 0.5])
def test_whoever_looks_after_every_number_is_wrong_no_more_often_than_promised(mean):
    rng = np.random.default_rng(int(mean * 100))
    assert ever_wrong(lambda n: (rng.random(n) < mean).astype(float), mean) <= 0.05


def test_it_holds_for_numbers_that_are_neither_0_nor_1():
    rng = np.random.default_rng(5)
    assert ever_wrong(lambda n: rng.beta(0.3, 0.9, n), 0.25) <= 0.05


def test_the_usual_interval_would_be_wrong_far_more_often():
    """What the test above would find if intervals of a fixed time were looked at again and again."""
    rng, total, wrong = np.random.default_rng(3), np.zeros(RUNS), np.zeros(RUNS, np.bool_)
    for n in range(1, 1_500):
        total += rng.random(RUNS) < 0.3
        if n > 30:
            mean = total / n
            wrong |= np.abs(mean - 0.3) > 1.96 * np.sqrt(np.maximum(mean * (1 - mean), 1e-9) / n)
    assert wrong.mean() > 0.2


def test_it_shrinks_with_numbers_and_with_their_variance():
    rng, widths = np.random.default_rng(1), []
    for chance in (0.5, 0.02):
        means = MeanSequences(1)
        for number in rng.random(4_000) < chance:
            means.update(np.array([float(number)]))
        low, high = means.interval(0.05)
        widths.append(float(high[0] - low[0]))
    assert widths[1] < widths[0] < 0.1


def test_what_is_missing_changes_nothing():
    whole, gaps = MeanSequences(1), MeanSequences(2)
    for number in (1.0, 0.0, 1.0, 1.0):
        whole.update(np.array([number]))
        gaps.update(np.array([np.nan, number]))
        gaps.update(np.array([0.5, np.nan]))
    assert [bound[1] for bound in gaps.interval(0.1)] == [bound[0] for bound in whole.interval(0.1)]
    assert (gaps.count.tolist(), gaps.mean[1]) == ([4, 4], whole.mean[0])


def test_nothing_is_known_of_nothing():
    low, high = MeanSequences(2).interval(0.05)
    assert (low.tolist(), high.tolist()) == ([0, 0], [1, 1])


def test_it_goes_on_bit_for_bit_from_its_state():
    rng = np.random.default_rng(2)
    whole, cut = MeanSequences(3), MeanSequences(3)
    for step in range(50):
        numbers = rng.random(3)
        whole.update(numbers)
        cut.update(numbers)
        if step % 7 == 0:
            cut = MeanSequences.from_state(cut.state(), 3)
    assert cut.state() == whole.state()


def test_what_is_no_state_is_refused():
    state = MeanSequences(2).state()
    for broken in (state | {"total": [1.0]}, state | {"weight": [float("nan"), 0.0]}):
        with pytest.raises(CorruptStateError):
            MeanSequences.from_state(broken, 2)
    with pytest.raises(InvalidParameterError, match="width"):
        MeanSequences(0)
    with pytest.raises(InvalidParameterError, match="alpha must be between 0 and 1, got 1"):
        MeanSequences(1).interval(1)
