import numpy as np
import pytest

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.layout import Layout, Schema
from online_models.row_format import SCHEMA_ROWS
from online_models.table import Table

DTYPE = np.dtype([("count", "<i8"), ("ring", "<f4", (3,))])


def table(dtype=DTYPE, capacity=2, **schema):
    return Table(Layout(Schema(dtype, **schema)), capacity=capacity)


def written(state):
    """Return the dirty rows but for the schema's."""
    return [row for row in state.dirty_rows() if not row[0].startswith(SCHEMA_ROWS)]


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
        assert [key for key, _ in written(state)] == [b"a", b"b"]
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
        assert [(key, value is None) for key, value in written(state)] == [(b"a", False)]

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

    def test_the_schema_is_written_once_before_the_first_row_of_it(self):
        state = table()
        state.intern(["a"])
        log = state.dirty_rows()
        assert log[0][0] == SCHEMA_ROWS + f"{Schema(DTYPE).fingerprint:08x}".encode()
        copy = table()
        copy.restore(log)
        copy.touch(copy.find(["a"]))
        assert [key for key, _ in copy.dirty_rows()] == [b"a"]

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (b"", "b'a' has 0 bytes only"),
            (b"short", "b'a' has 5 bytes only"),
            (bytes(26), "b'a' claims version 0 and 0 bytes, as no release has written"),
            (b"\1\0\1\2\3\x84" + bytes(20), "b'a' is of schema 84030201, version 1, which no row before it"),
        ],
    )
    def test_a_row_that_is_none_names_its_key_and_leaves_the_table_as_it_was(self, value, message):
        state = table()
        state.intern(["b"])
        good = dict(state.dirty_rows())
        other = table()
        with pytest.raises(CorruptStateError, match=message) as refused:
            other.restore([*good.items(), (b"c", None), (b"a", value)])
        assert refused.value.key == b"a"
        assert len(other) == 0

    def test_a_row_with_one_byte_more_is_refused(self):
        state = table()
        state.intern(["a"])
        rows = state.dirty_rows()
        rows[-1] = (b"a", rows[-1][1] + b"\0")
        with pytest.raises(CorruptStateError, match="b'a' has 27 bytes, expected 26"):
            table().restore(rows)

    def test_a_key_that_is_no_text_is_refused(self):
        state = table()
        state.intern(["a"])
        rows = [(key if key != b"a" else b"\xff", value) for key, value in state.dirty_rows()]
        with pytest.raises(CorruptStateError, match="key that is no text") as refused:
            table().restore(rows)
        assert refused.value.key == b"\xff"


class TestParameters:
    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (lambda: table(np.dtype("f8")), "dtype"),
            (lambda: table(np.dtype([("x", "O")])), "dtype"),
            (lambda: table(version=70_000), "version .* got 70000"),
            (lambda: table(capacity=0), "capacity .* got 0"),
            (lambda: table(labels={"ring": (("a", "b"),)}), "labels of ring .* got"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, build, message):
        with pytest.raises(InvalidParameterError, match=message):
            build()
