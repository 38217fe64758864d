"""Differences of users paired as they come."""

import numpy as np
import pytest

from online_models.errors import CorruptStateError
from online_models.experiments.paired import MAX_WAITING, PairedDifferences


def fed(sequence, pairs=None):
    """Return differences of one measure after (number, whether of the control)."""
    pairs = pairs or PairedDifferences(1)
    for number, control in sequence:
        pairs.add(np.array([number]), control=control)
    return pairs


def test_the_first_of_each_side_make_a_pair_whichever_comes_first():
    ahead = fed([(1.0, False), (0.5, False), (0.0, True), (0.5, True)])
    turns = fed([(0.0, True), (1.0, False), (0.5, True), (0.5, False)])
    assert ahead.state() == turns.state()


def test_whoever_looks_all_the_time_is_wrong_no_more_often_than_promised():
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(60):
        pairs = PairedDifferences(1)
        for _ in range(300):
            fed([(float(rng.random() < 0.3), bool(rng.random() < 0.5))], pairs)
            low, high = pairs.interval(0.05)
            if low[0] > 0 or high[0] < 0:
                wrong += 1
                break
    assert wrong <= 3


def test_measures_wait_for_themselves():
    pairs = PairedDifferences(2)
    pairs.add(np.array([1.0, np.nan]), control=False)
    pairs.add(np.array([0.0, 0.0]), control=True)
    pairs.add(np.array([np.nan, 1.0]), control=False)
    assert pairs.state()["means"]["count"] == [1.0, 1.0]
    assert pairs.state()["waiting"] == [[[], []], [[], []]]


def test_those_who_wait_are_no_more_than_may_be_and_the_oldest_go():
    pairs = fed([(float(number % 2), False) for number in range(MAX_WAITING + 7)])
    assert len(pairs.state()["waiting"][0][0]) == MAX_WAITING


def test_it_goes_on_bit_for_bit_from_its_state():
    rng = np.random.default_rng(2)
    sequence = [(float(rng.random()), bool(rng.random() < 0.5)) for _ in range(60)]
    whole, cut = fed(sequence), PairedDifferences(1)
    for begin in range(0, 60, 7):
        cut = PairedDifferences.from_state(fed(sequence[begin : begin + 7], cut).state(), 1)
    assert cut.state() == whole.state()


def test_a_state_of_other_measures_is_refused():
    with pytest.raises(CorruptStateError):
        PairedDifferences.from_state(PairedDifferences(2).state(), 1)
