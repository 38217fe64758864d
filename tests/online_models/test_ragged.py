"""Rows take as much memory as they fill, and hold what plain lists would hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.errors import InvalidParameterError
from online_models.layout import Layout, Schema
from online_models.ragged import RaggedColumns
from online_models.split_rows import SplitRows
from online_models.table import Table

KINDS = {"item": np.dtype("u8"), "count": np.dtype("u2")}
WIDTH, ROWS = 11, 6
DTYPE = np.dtype([("a", "<i8"), ("item", "<u8", (WIDTH,)), ("count", "<u2", (WIDTH,)), ("b", "<f4")])
steps = st.lists(st.dictionaries(st.integers(0, ROWS - 1), st.integers(0, WIDTH), max_size=ROWS), max_size=20)


def columns():
    return RaggedColumns(KINDS, WIDTH, ROWS)


def entries(lengths, number):
    """Return columns in which row i has as many entries, none like those of another step."""
    width = max(lengths, default=0)
    item = np.arange(1, width + 1) + 1_000 * number + 100 * np.arange(len(lengths))[:, None]
    item *= np.arange(width) < np.array(lengths, np.int64)[:, None]
    return [item.astype(np.uint64), (item % 7).astype(np.uint16)]


def lists_of(found):
    """Return what rows hold, without free places at the end."""
    return [
        (np.trim_zeros(item, "b").tolist(), count[: np.trim_zeros(item, "b").size].tolist())
        for item, count in zip(*found, strict=True)
    ]


class TestRaggedColumns:
    @settings(max_examples=80, deadline=None)
    @given(steps)
    def test_rows_hold_what_was_put_last(self, log):
        ragged, plain = columns(), [([], [])] * ROWS
        for number, step in enumerate(log):
            rows, lengths = np.array(list(step), np.int64), list(step.values())
            values = entries(lengths, number + 1)
            if 0 in lengths and number % 2:
                ragged.drop(rows[[length == 0 for length in lengths]])
            ragged.put(rows, values)
            for row, held in zip(rows.tolist(), lists_of(values), strict=True):
                plain[row] = held
            assert lists_of(ragged.take(np.arange(ROWS))) == plain

    @settings(max_examples=60, deadline=None)
    @given(steps)
    def test_behind_what_a_row_holds_everything_is_zero(self, log):
        ragged = columns()
        for number, step in enumerate(log):
            ragged.put(np.array(list(step), np.int64), entries(list(step.values()), number + 1))
            item, count = ragged.take(np.arange(ROWS), room=WIDTH)
            assert item.shape == count.shape == (ROWS, WIDTH)
            for row, length in step.items():
                assert np.count_nonzero(item[row]) == length
                assert not item[row, length:].any()
                assert not count[row, length:].any()

    def test_a_row_has_room_for_what_is_to_come(self):
        ragged = columns()
        ragged.put(np.array([1]), entries([3], 1))
        assert ragged.take(np.array([0, 1]), room=np.array([5, 2]))[0].shape == (2, 6), "4 it has and 2 more"
        assert ragged.take(np.array([0]))[0].shape == (1, 0)
        assert ragged.take(np.array([1]), room=100)[0].shape == (1, WIDTH)

    def test_a_negative_row_holds_nothing(self):
        ragged = columns()
        ragged.put(np.array([ROWS - 1]), entries([2], 1))
        assert not ragged.take(np.array([-1]), room=2)[0].any()

    def test_blocks_that_are_given_back_are_used_again(self):
        ragged = RaggedColumns(KINDS, WIDTH, 3_000)
        everyone = np.arange(3_000)
        ragged.put(everyone, entries([2] * 3_000, 1))
        before = ragged.nbytes
        for number in range(2, 12):
            ragged.drop(everyone)
            ragged.put(everyone[::-1], entries([2] * 3_000, number))
        assert ragged.nbytes == before

    def test_memory_follows_what_is_filled(self):
        ragged = RaggedColumns(KINDS, 96, 20_000)
        lengths = np.minimum(np.random.default_rng(1).zipf(2.0, 20_000), 96).tolist()
        ragged.put(np.arange(20_000), entries(lengths, 1))
        blocks = sum(next(size for size in (2, 4, 8, 16, 32, 64, 96) if size >= length) for length in lengths)
        assert ragged.nbytes <= 1.3 * 10 * blocks + 10 * 20_000 + 20_000

    def test_without_columns_nothing_is_kept(self):
        ragged = RaggedColumns({}, 0, 5)
        ragged.put(np.arange(5), [])
        ragged.drop(np.arange(5))
        assert ragged.take(np.arange(5)) == []
        assert ragged.nbytes == 0


class TestTable:
    def filled(self, lengths, **options):
        table = Table(Layout(Schema(DTYPE)), capacity=2, **options)
        rows, _ = table.intern([f"u{n}" for n in range(len(lengths))])
        table.rows["a"][rows], table.rows["b"][rows] = rows + 1, rows / 4
        return table, rows

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(0, WIDTH), min_size=1, max_size=9))
    def test_the_changelog_is_that_of_whole_rows(self, lengths):
        item, count = entries(lengths, 1)
        whole, rows = self.filled(lengths)
        whole.rows["item"][rows, : item.shape[1]], whole.rows["count"][rows, : item.shape[1]] = item, count
        split, _ = self.filled(lengths, ragged=("item", "count"))
        split.ragged.put(rows, [item, count])
        log = split.dirty_rows()
        assert log == whole.dirty_rows()
        again = Table(Layout(Schema(DTYPE)), ragged=("item", "count"), capacity=1)
        for start in range(0, len(log), 4):
            again.restore(log[start : start + 4])
        again.touch(again.live_rows())
        rewritten = dict(again.dirty_rows())
        assert len(rewritten) == len(lengths)
        assert dict(log) | rewritten == dict(log)

    def test_a_removed_key_leaves_nothing_to_the_next_one(self):
        table, rows = self.filled([3, 3], ragged=("item", "count"))
        table.ragged.put(rows, entries([3, 3], 1))
        table.remove("u0")
        fresh, _ = table.intern(["new"])
        assert fresh.tolist() == [0]
        assert not table.ragged.take(fresh, room=WIDTH)[0].any()
        assert table.ragged.take(rows[1:])[0].any()


@pytest.mark.parametrize("ragged", [["item", "b"], ["count", "item"], ["a"], ["gone"], ["item", "gone"]])
def test_ragged_fields_are_array_fields_side_by_side(ragged):
    with pytest.raises(InvalidParameterError, match="ragged must name"):
        SplitRows(DTYPE, ragged)
