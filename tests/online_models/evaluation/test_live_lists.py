"""Published lists and what their users touch next."""

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.evaluation.live_lists import LiveLists

POPULAR = np.array([9, 8], np.uint64)


def items(*hashes):
    return np.array(hashes, np.uint64)


def test_a_list_is_judged_once_by_the_next_touch():
    live = LiveLists()
    live.published(["u:1"], [items(5, 7)], POPULAR, current=[1])
    live.touched(["u:1", "u:1"], [7, 6])
    assert live.cases == 1
    assert live.get()["lists"]["hit_rate@5"] == 1.0
    assert live.get()["lists"]["mrr@5"] == 0.5


def test_the_item_on_the_screen_is_no_case():
    live = LiveLists()
    live.published(["u:1"], [items(5)], POPULAR, current=[4])
    live.touched(["u:1"], [4])
    assert live.cases == 0
    live.touched(["u:1"], [8])
    assert live.cases == 1
    assert live.get()["lists"]["hit_rate@20"] == 0.0
    assert live.get()["popularity"]["mrr@20"] == 0.5


def test_a_later_list_replaces_an_earlier_one_and_an_erased_user_has_none():
    live = LiveLists()
    live.published(["u:1", "u:2"], [items(5), items(5)], POPULAR, current=[0, 0])
    live.published(["u:1"], [items(6)], POPULAR, current=[0])
    live.forget("u:2")
    live.touched(["u:1", "u:2"], [6, 5])
    assert live.cases == 1
    assert live.get()["lists"]["hit_rate@5"] == 1.0


def test_the_oldest_lists_are_forgotten_unjudged():
    live = LiveLists(capacity=1)
    live.published(["u:1", "u:2"], [items(5), items(5)], POPULAR, current=[0, 0])
    live.touched(["u:1", "u:2"], [5, 5])
    assert live.cases == 1


def test_a_capacity_below_one_is_refused():
    with pytest.raises(InvalidParameterError, match="capacity must be at least 1, got 0"):
        LiveLists(capacity=0)
