import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.packed_rows import PackedRows


def twin_size(row):
    """Return how many units of 16 bytes a row takes: bits of words, then bits and bytes of those not zero."""
    words = [row[at : at + 8] for at in range(0, row.size, 8)]
    used = sum(1 + np.count_nonzero(word) for word in words if word.any())
    return -(-(-(-len(words) // 8) + used) // 16)


def some_rows(random, count, width):
    """Return rows between empty and full, the ends among them."""
    share = random.choice([0, 0.02, 0.3, 1], count)
    return random.integers(0, 256, (count, width), np.uint8) * (
        random.random((count, width)) < share[:, None]
    )


class TestPackedRows:
    @pytest.mark.parametrize("width", [1, 7, 8, 9, 64, 65, 619, 725, 9_001])
    def test_rows_come_back_as_they_were_written_whatever_was_there_before(self, width):
        random = np.random.default_rng(width)
        kept, truth = PackedRows(width, 40), np.zeros((40, width), np.uint8)
        for _ in range(300):
            numbers = random.permutation(40)[: random.integers(0, 20)]
            rows = some_rows(random, numbers.size, width)
            kept.write(numbers, rows)
            truth[numbers] = rows
            if random.random() < 0.3:
                number = int(random.integers(40))
                kept.drop(number)
                truth[number] = 0
            assert np.array_equal(kept.read(np.arange(40)), truth)

    def test_of_a_number_written_twice_the_last_row_stays(self):
        kept = PackedRows(30, 1)
        rows = np.zeros((2, 30), np.uint8)
        rows[0], rows[1, 3] = 5, 9
        kept.write(np.array([0, 0]), rows)
        assert np.array_equal(kept.read(np.array([0])), rows[1:])

    def test_numbers_below_zero_and_rows_never_written_are_zero(self):
        kept = PackedRows(30, 1)
        kept.make_room(5)
        assert not kept.read(np.array([-1, 4])).any()
        assert kept.read(np.zeros(0, np.int64)).shape == (0, 30)

    def test_little_lies_idle_however_often_rows_change_their_length(self):
        random = np.random.default_rng(3)
        kept = PackedRows(600, 2_000)
        for share in (0.1, 0.9, 0.2, 0.6, 0.3, 0.5):
            for numbers in np.split(random.permutation(2_000), 20):
                rows = some_rows(random, 100, 600) * (random.random((100, 600)) < share)
                kept.write(numbers, rows)
        needed = 16 * sum(map(twin_size, kept.read(np.arange(2_000))))
        # One in eight may lie idle, besides the first units and those of one write.
        room = 16 * 4_096 // 8 + 100 * 700
        assert kept.nbytes - 2_000 * 6 <= 8 / 7 * needed + room

    @pytest.mark.parametrize("width", [0, 1_000_000])
    def test_widths_that_cannot_be_kept_are_refused(self, width):
        with pytest.raises(InvalidParameterError, match=f"width .* got {width}"):
            PackedRows(width, 1)
