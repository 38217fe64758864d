import struct

import numpy as np
import pytest

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.table import Table

DTYPE = np.dtype([("count", "<i8"), ("ring", "<f4", (3,))])


def table(**settings):
    return Table(DTYPE, **{"version": 1, "capacity": 2, **settings})


def content(state):
    return {state.key_of(row): state.rows[row].tobytes() for row in state.live_rows().tolist()}


class TestIntern:
    def test_new_keys_get_zeroed_rows_in_order_of_appearance(self):
        state = table()
        rows, created = state.intern(["b", "a", "b", "c"])
        assert rows.tolist() == [0, 1, 0, 2]
        assert created.tolist() == [0, 1, 2]
        assert not state.rows[:3]["count"].any()

    def test_known_keys_keep_their_rows_while_the_table_grows(self):
        state = table()
        state.intern(["a"])
        state.rows["count"][0] = 7
        rows, created = state.intern([f"k{i}" for i in range(5_000)] + ["a"])
        assert rows[-1] == 0
        assert created.size == 5_000
        assert state.rows["count"][0] == 7
        assert len(state) == 5_001

    def test_no_keys_give_no_rows(self):
        rows, created = table().intern([])
        assert rows.size == created.size == 0

    def test_find_and_get_say_minus_one_for_unknown_keys(self):
        state = table()
        state.intern(["a"])
        assert state.get("x") == -1
        assert state.find(["x", "a"]).tolist() == [-1, 0]
        assert "a" in state
        assert "x" not in state


class TestRemove:
    def test_a_removed_row_is_zeroed_and_used_again(self):
        state = table()
        state.intern(["a", "b"])
        state.rows["count"][0] = 9
        state.remove("a")
        assert state.get("a") == -1
        assert state.live_rows().tolist() == [1]
        rows, created = state.intern(["c"])
        assert rows.tolist() == created.tolist() == [0]
        assert state.rows["count"][0] == 0

    def test_the_key_of_a_free_row_is_an_error(self):
        state = table()
        state.intern(["a"])
        state.remove("a")
        with pytest.raises(KeyError):
            state.key_of(0)

    def test_removing_an_unknown_key_changes_nothing(self):
        state = table()
        state.remove("a")
        assert state.dirty_rows() == []


class TestChangelog:
    def test_only_changed_rows_are_written_once(self):
        state = table()
        state.intern(["a", "b"])
        assert [key for key, _ in state.dirty_rows()] == [b"a", b"b"]
        assert state.dirty_rows() == []
        state.touch(np.array([1]))
        assert [key for key, _ in state.dirty_rows()] == [b"b"]

    def test_a_removed_key_is_a_tombstone(self):
        state = table()
        state.intern(["a"])
        state.dirty_rows()
        state.remove("a")
        assert state.dirty_rows() == [(b"a", None)]

    def test_a_key_that_came_back_is_written_not_removed(self):
        state = table()
        state.intern(["a"])
        state.dirty_rows()
        state.remove("a")
        state.intern(["a"])
        assert [(key, value is None) for key, value in state.dirty_rows()] == [(b"a", False)]

    def test_replaying_the_changelog_restores_the_table(self):
        random = np.random.default_rng(1)
        state, log = table(), []
        for step in range(60):
            rows, _ = state.intern([f"k{key}é" for key in random.integers(0, 40, 5)])
            state.rows["count"][rows] += 1
            state.rows["ring"][rows, step % 3] = random.random(5)
            state.touch(rows)
            if step % 3 == 0:
                state.remove(f"k{random.integers(0, 40)}é")
            if step % 4 == 0:
                log += state.dirty_rows()
        log += state.dirty_rows()
        whole, pieces = table(), table()
        whole.restore(log)
        for start in range(0, len(log), 7):
            pieces.restore(log[start : start + 7])
        assert content(whole) == content(pieces) == content(state)
        assert whole.dirty_rows() == pieces.dirty_rows() == []

    def test_a_row_of_another_size_names_its_key(self):
        with pytest.raises(CorruptStateError, match="b'a' has 5 bytes, expected 26"):
            table().restore([(b"a", b"short")])

    def test_a_row_of_another_version_names_its_key_and_both_versions(self):
        old = table(version=2)
        old.intern(["a"])
        with pytest.raises(CorruptStateError, match=r"b'a' has version 2 .* expected version 1"):
            table().restore(old.dirty_rows())

    def test_the_header_is_version_and_size_in_little_endian(self):
        state = table()
        state.intern(["a"])
        [(_, value)] = state.dirty_rows()
        assert struct.unpack("<HI", value[:6]) == (1, DTYPE.itemsize)


class TestParameters:
    @pytest.mark.parametrize(
        ("dtype", "settings", "message"),
        [
            (np.dtype("f8"), {}, "dtype"),
            (np.dtype([("x", "O")]), {}, "dtype"),
            (DTYPE, {"version": 70_000}, "version .* got 70000"),
            (DTYPE, {"capacity": 0}, "capacity .* got 0"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, dtype, settings, message):
        with pytest.raises(InvalidParameterError, match=message):
            Table(dtype, **{"version": 1, **settings})
