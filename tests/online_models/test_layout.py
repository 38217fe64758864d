import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.errors import CorruptStateError
from online_models.layout import Layout, Schema
from online_models.row_format import SCHEMA_ROWS
from online_models.table import Table

OLD = Schema(
    np.dtype([("count", "<i4"), ("gone", "<f8"), ("by_kind", "<u2", (2,)), ("ring", "<i8", (3,))]),
    labels={"by_kind": (("view", "buy"),)},
)


def new(**changes):
    """Return a layout with a field less, a field more, wider numbers, another order and other labels."""
    fields = [("price", "<f4"), ("ring", "<i8", (2,)), ("by_kind", "<u4", (3,)), ("count", "<i8")]
    labels = {"by_kind": (("buy", "like", "view"),)}
    schema = Schema(np.dtype(fields), version=changes.pop("version", 1), labels=labels)
    return Layout(schema, **{"defaults": {"price": np.nan}, "dropped": frozenset({"gone"}), **changes})


def ringed(length):
    return Layout(Schema(np.dtype([("count", "<i8"), ("ring", "<i8", (length,))])))


def log_of(layout, keys=("a", "b")):
    """Return the changelog of a table with rows of distinct numbers."""
    table = Table(layout)
    rows, _ = table.intern(list(keys))
    for name in table.rows.dtype.names:
        size = table.rows[name][rows].size
        table.rows[name][rows] = np.arange(1, size + 1).reshape(table.rows[name][rows].shape)
    return table.dirty_rows()


def restored(layout, log):
    table = Table(layout)
    table.restore(log)
    return table


class TestConversion:
    def test_fields_are_carried_over_by_name_and_entries_by_label(self):
        row = restored(new(), log_of(Layout(OLD))).rows[1]
        assert row["count"] == 2
        assert row["by_kind"].tolist() == [4, 0, 3]
        assert row["ring"].tolist() == [4, 5]
        assert np.isnan(row["price"])

    def test_converted_rows_count_as_clean_and_are_written_anew_when_they_change(self):
        log = log_of(Layout(OLD))
        table = restored(new(), log)
        assert table.dirty_rows() == []
        table.touch(table.find(["a"]))
        changed = table.dirty_rows()
        assert [key[:8] for key, _ in changed] == [SCHEMA_ROWS, b"a"]
        again = restored(new(), [*log, *changed])
        assert again.rows[: again.size].tobytes() == table.rows[: table.size].tobytes()

    @given(
        st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 4)), min_size=1, max_size=20),
        st.integers(1, 9),
    )
    def test_a_log_of_rows_of_several_schemas_gives_each_key_its_latest(self, writes, size):
        """A setting changes the length of a ring now and then; each table goes on from what others left."""
        log, truth = [], {}
        for number, (key, length) in enumerate(writes, 1):
            table = restored(ringed(length), log)
            rows, _ = table.intern([key])
            table.rows["count"][rows] = number
            table.rows["ring"][rows] = np.arange(number, number + length)
            table.touch(rows)
            log += table.dirty_rows()
            truth[key] = (number, [number + i if i < length else 0 for i in range(3)])
        last = {key: place for place, (key, _) in enumerate(log)}
        compacted = [row for place, row in enumerate(log) if last[row[0]] == place]
        for whole in (log, compacted):
            table = Table(ringed(3))
            for start in range(0, len(whole), size):
                table.restore(whole[start : start + size])
            rows = {table.key_of(row): table.rows[row] for row in table.live_rows().tolist()}
            assert {key: (row["count"], row["ring"].tolist()) for key, row in rows.items()} == truth

    def test_rows_climb_version_by_version(self):
        def to_2(rows):
            rows = rows.copy()
            rows["count"] *= 10
            return rows

        def to_3(rows):
            rows = rows.copy()
            rows["count"] += 1
            return rows

        layout = new(version=3, upgrades={1: to_2, 2: to_3})
        assert restored(layout, log_of(Layout(OLD))).rows["count"][:2].tolist() == [11, 21]

    @pytest.mark.parametrize(
        ("kind", "value", "fits"),
        [("<i2", 40_000, False), ("<u8", -1, False), ("<i2", -300, True), ("<f4", 7, True), ("<f8", 7, True)],
    )
    def test_a_number_that_does_not_fit_is_refused_by_the_key_of_its_row(self, kind, value, fits):
        table = Table(Layout(OLD))
        rows, _ = table.intern(["a", "b"])
        table.rows["count"][rows[1]] = value
        layout = Layout(Schema(np.dtype([("count", kind)])), dropped=frozenset({"gone", "by_kind", "ring"}))
        if fits:
            assert restored(layout, table.dirty_rows()).rows["count"][1] == value
        else:
            with pytest.raises(CorruptStateError, match=f"row b'b': field count: {value} does not fit") as no:
                restored(layout, table.dirty_rows())
            assert no.value.key == b"b"


class TestRefusal:
    def test_rows_of_a_schema_that_the_log_does_not_hold_are_refused(self):
        with pytest.raises(
            CorruptStateError, match="which no row before it in the changelog describes"
        ) as no:
            restored(new(), log_of(Layout(OLD))[1:])
        assert no.value.key == b"a"

    @pytest.mark.parametrize(
        ("layout", "message"),
        [
            (new(version=0), "written by a newer release: rows of version 1, this one reads up to version 0"),
            (new(version=2), "rows of version 1 cannot be read, only of version 2"),
            (new(dropped=frozenset()), "written by a newer release: this one knows nothing of gone"),
            (
                Layout(Schema(np.dtype([("ring", "<i8")])), dropped=frozenset(OLD.dtype.names) - {"ring"}),
                "ring",
            ),
        ],
    )
    def test_a_schema_of_another_release_is_refused_in_words(self, layout, message):
        with pytest.raises(CorruptStateError, match=message) as no:
            restored(layout, log_of(Layout(OLD)))
        assert no.value.key.startswith(SCHEMA_ROWS)

    def test_an_entry_that_must_not_be_lost_is_a_newer_releases(self):
        few = Schema(np.dtype([("by_kind", "<u2", (1,))]), labels={"by_kind": (("view",),)})
        loose = Layout(few, dropped=frozenset({"gone", "count", "ring"}))
        assert restored(loose, log_of(Layout(OLD))).rows["by_kind"][0].tolist() == [1]
        strict = Layout(few, dropped=loose.dropped, exact=frozenset({"by_kind"}))
        with pytest.raises(CorruptStateError, match="this one knows nothing of buy"):
            restored(strict, log_of(Layout(OLD)))

    def test_a_schema_row_of_another_schema_than_its_key_says_is_refused(self):
        (_, schema), *_ = log_of(Layout(OLD))
        with pytest.raises(CorruptStateError, match="another schema than its key says"):
            restored(new(), [(SCHEMA_ROWS + b"00000000", schema)])
        with pytest.raises(CorruptStateError, match="schema cannot be decoded"):
            restored(new(), [(SCHEMA_ROWS + b"00000000", b"")])


class TestSchema:
    def test_it_survives_a_round_trip(self):
        schema = Schema(OLD.dtype, 7, OLD.labels, {"half_life_ms": 5, "a": 1})
        copy = Schema.unpack(schema.pack())
        assert (copy.dtype, copy.version, copy.units) == (schema.dtype, 7, schema.units)
        assert copy.axes("by_kind") == (("view", "buy"),)
        assert copy.fingerprint == schema.fingerprint

    def test_whatever_gives_numbers_their_meaning_is_in_the_fingerprint(self):
        alike = [
            OLD,
            Schema(OLD.dtype, 2, OLD.labels),
            Schema(OLD.dtype, 1, {"by_kind": (("buy", "view"),)}),
            Schema(OLD.dtype, 1, OLD.labels, {"half_life_ms": 5}),
            Schema(np.dtype([("count", "<u4"), *OLD.dtype.descr[1:]]), 1, OLD.labels),
        ]
        assert len({schema.fingerprint for schema in alike}) == len(alike)
