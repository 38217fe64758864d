"""Distinct keys without sorting: the same as sorting would find, whatever the keys."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from online_models.items.grouping import distinct

few = st.lists(st.integers(0, 20), max_size=200)
many = st.lists(st.integers(-(2**62), 2**62), max_size=200)


@settings(max_examples=100, deadline=None)
@given(few | many)
@example([])
def test_entries_of_one_key_are_one_group_and_its_last_entry_stands_for_it(keys):
    given_keys = np.array(keys, np.int64)
    last, group = distinct(given_keys)
    assert given_keys[last][group].tolist() == keys
    assert last.tolist() == sorted({key: place for place, key in enumerate(keys)}.values())


def test_keys_that_share_their_slots_are_told_apart():
    # Slots are far fewer than keys: all but a few meet others, for several rounds.
    keys = np.repeat(np.arange(50_000, dtype=np.int64) * 2**32, 2)
    last, group = distinct(keys)
    assert last.size == 50_000
    assert (keys[last][group] == keys).all()
