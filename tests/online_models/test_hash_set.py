import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from online_models.hash_set import HashSet


class TestHashSet:
    @given(st.lists(st.integers(1, 2**64 - 1), unique=True, max_size=400), st.integers(1, 50))
    def test_it_holds_exactly_what_was_added(self, hashes, step):
        known, half = HashSet(), len(hashes) // 2
        for at in range(0, half, step):
            known.add(np.array(hashes[at : min(at + step, half)], np.uint64))
        assert len(known) == half
        expected = [place < half for place in range(len(hashes))]
        assert known.contains(np.array(hashes, np.uint64)).tolist() == expected

    def test_hashes_that_fall_together_all_stay(self):
        known = HashSet()
        crowd = np.arange(1, 20_001, dtype=np.uint64) << np.uint64(44)
        known.add(crowd)
        assert known.contains(crowd).all()
        assert not known.contains(crowd + np.uint64(1)).any()
