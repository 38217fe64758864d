"""The kernels over slots and hashes against what numpy and dictionaries make of the same."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.items.hash_index import HashIndex
from online_models.items.partner_pool import PartnerPool
from online_models.items.slots import SlotPool

seeds = st.integers(0, 10_000)


def filled(rng, width, rows):
    """Return a pool with random partners, many of them equally strong, and what it is to hold."""
    used = rng.integers(0, width + 1, rows)
    used[rng.integers(rows)] = width
    partner = np.zeros((rows, width), np.uint64)
    weights = np.zeros((rows, width, 3), np.float32)
    for row, count in enumerate(used.tolist()):
        partner[row, :count] = rng.choice(2 * width, count, replace=False) + 1
        weights[row, :count] = rng.integers(0, 3, (count, 3))
    pool = SlotPool(width, rows)
    pool.put(np.arange(rows), used, partner, weights)
    return pool, used, partner, weights


class TestSlotPool:
    @settings(deadline=None, max_examples=40)
    @given(seeds, st.sampled_from([1, 7, 8, 20]))
    def test_what_is_put_in_is_taken_out_whatever_was_given_back_before(self, seed, width):
        rng = np.random.default_rng(seed)
        pool, used, partner, weights = filled(rng, width, 9)
        blocks = pool.free.size
        for _ in range(30):
            rows = rng.permutation(9)[: rng.integers(1, 5)]
            if rng.random() < 0.4:
                used[rows] = 0
                pool.drop(rows)
            else:
                _, *others = filled(rng, width, 9)
                for column, other in zip((used, partner, weights), others, strict=True):
                    column[rows] = other[rows]
                pool.put(rows, used[rows], partner[rows], weights[rows])
            held = np.arange(width) < used[:, None]
            found, sums = pool.take(np.arange(9), used)
            np.testing.assert_array_equal(found, np.where(held, partner, 0))
            np.testing.assert_array_equal(sums, np.where(held[:, :, None], weights, 0))
            taken = pool.blocks[pool.blocks > 0]
            assert taken.size == np.unique(taken).size == (-(-used // 8)).sum()
        assert pool.free.size == blocks, "what was given back is used again"

    @settings(deadline=None, max_examples=60)
    @given(seeds, st.sampled_from([1, 5, 8, 20]), st.integers(1, 20))
    def test_the_strongest_are_those_of_a_stable_sort(self, seed, width, wanted):
        rng = np.random.default_rng(seed)
        pool, used, partner, weights = filled(rng, width, 6)
        rows = rng.permutation(6)
        scale, popularity = rng.random(6).astype(np.float32), rng.integers(0, 4, 6).astype(np.float64)
        found, sums = pool.strongest(rows, used[rows], scale, popularity, wanted)
        for at, row in enumerate(rows.tolist()):
            held = weights[row, : used[row]].copy()
            held[:, :2] *= scale[at]
            held[:, 2] = np.minimum(held[:, 2] / max(popularity[at], 1e-30), 1.0)
            order = np.argsort(-(held[:, 0] + held[:, 1]), kind="stable")[:wanted]
            assert found[at, : order.size].tolist() == partner[row, order].tolist()
            assert not found[at, order.size :].any()
            np.testing.assert_array_equal(sums[at, : order.size], held[order])


class TestPartnerPool:
    @settings(deadline=None, max_examples=40)
    @given(seeds, st.sampled_from([1, 8, 20]))
    def test_rows_hold_what_was_written_last(self, seed, width):
        rng = np.random.default_rng(seed)
        pool, held = PartnerPool(width, 40), {row: ([], []) for row in range(40)}
        for _ in range(25):
            rows = rng.permutation(40)[: rng.integers(0, 30)]
            if rng.random() < 0.3:
                pool.clear(rows)
                held.update({row: ([], []) for row in rows.tolist()})
                continue
            counts = rng.integers(0, width + 1, rows.size)
            partners, weights = rng.integers(0, 99, counts.sum()), rng.random((counts.sum(), 3))
            pool.write(rows, counts, partners, weights.astype(np.float32))
            for row, begin, count in zip(rows.tolist(), np.cumsum(counts) - counts, counts, strict=True):
                those = slice(begin, begin + count)
                held[row] = (partners[those].tolist(), weights[those].astype(np.float32).tolist())
        rows = rng.permutation(40)
        for most in (None, 5):
            found, sums = pool.read(rows, most)
            for row, partners, weights in zip(rows.tolist(), found.tolist(), sums.tolist(), strict=True):
                known = held[row][0][: len(partners)]
                assert partners == known + [-1] * (len(partners) - len(known))
                assert weights == held[row][1][: len(partners)] + [[0.0] * 3] * (len(partners) - len(known))
        blocks = pool._slots.blocks
        taken = blocks[blocks > 0]
        assert taken.size == np.unique(taken).size == sum(-(-len(names) // 8) for names, _ in held.values())


class TestHashIndex:
    @settings(deadline=None, max_examples=40)
    @given(seeds, st.sampled_from([1, 4, 1000]))
    def test_it_finds_what_a_dict_finds_as_it_grows(self, seed, partitions):
        """Also where hashes begin or end alike, as those of one partition do."""
        rng = np.random.default_rng(seed)
        column = np.unique(rng.integers(1, 2**63, 700, dtype=np.uint64)) * np.uint64(partitions)
        column[:200] = np.arange(1, 201)
        column = rng.permutation(np.unique(column[column > 0]))
        index, added = HashIndex(), 0
        while added < column.size:
            more = np.arange(added, min(added + int(rng.integers(1, 200)), column.size))
            index.add(column, more)
            added += more.size
            expected = dict(zip(column[:added].tolist(), range(added), strict=True))
            asked = rng.permutation(np.append(column, np.array([0, 2**64 - 1], np.uint64)))
            assert index.find(column, asked).tolist() == [expected.get(one, -1) for one in asked.tolist()]
            assert len(index) == added
        kept = np.flatnonzero(rng.random(column.size) < 0.5)
        index.rebuild(column, kept)
        assert len(index) == kept.size
        found = index.find(column, column)
        assert np.flatnonzero(found >= 0).tolist() == found[found >= 0].tolist() == kept.tolist()

    def test_nothing_is_found_in_an_empty_one(self):
        column = np.zeros(0, np.uint64)
        assert HashIndex().find(column, np.array([0, 5], np.uint64)).tolist() == [-1, -1]
        assert HashIndex().find(column, column).size == 0
