"""The guard against learning one's own lists keeps the order in which people like things."""

import pytest

from benchmarks.feedback import learn


@pytest.mark.parametrize("assumed", [1.0, 3.0])
def test_with_the_guard_the_true_order_is_kept_better_than_without(assumed):
    without, guarded = (learn(3.0, given, sets=2_500) for given in (0.0, assumed))
    assert guarded.agreement > without.agreement + 0.01
    assert abs(guarded.promoted) < abs(without.promoted)


def test_where_lists_bring_nothing_about_no_guard_is_needed():
    assert learn(0.0, 0.0, sets=2_500).agreement > 0.96
