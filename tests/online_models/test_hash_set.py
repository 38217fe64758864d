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

    @given(
        st.lists(st.sets(st.integers(1, 40) | st.integers(2**64 - 3, 2**64 - 1), max_size=20), max_size=12)
    )
    def test_what_is_removed_is_gone_until_it_is_added_again(self, changes):
        known, expected = HashSet(), set()
        for change in changes:
            known.remove(np.array(sorted(change & expected), np.uint64))
            known.add(np.array(sorted(change - expected), np.uint64))
            expected ^= change
            asked = [*range(1, 42), 2**64 - 3, 2**64 - 2, 2**64 - 1]
            found = known.contains(np.array(asked, np.uint64)).tolist()
            assert found == [value in expected for value in asked]
            assert len(known) == len(expected)

    def test_a_window_that_moves_on_stays_as_large_and_one_that_empties_shrinks(self):
        known, ids = HashSet(), np.random.default_rng(1).permutation(60_000).astype(np.uint64) + np.uint64(1)
        known.add(ids[:5_000])
        sizes = set()
        for start in range(0, 55_000, 1_000):
            known.remove(ids[start : start + 1_000])
            known.add(ids[start + 5_000 : start + 6_000])
            sizes.add(known.nbytes)
            assert known.contains(ids).sum() == len(known) == 5_000
        assert max(sizes) <= 45 * 5_000
        known.remove(ids[55_000:])
        assert known.nbytes < 10_000

    def test_hashes_that_fall_together_all_stay(self):
        known = HashSet()
        crowd = np.arange(1, 20_001, dtype=np.uint64) << np.uint64(44)
        known.add(crowd)
        assert known.contains(crowd).all()
        assert not known.contains(crowd + np.uint64(1)).any()
