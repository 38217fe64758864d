import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.errors import CorruptStateError
from online_models.journal import FORMAT, FORMAT_ROWS, Journal

ROWS = [(b"ann", b"7"), (b"bob", b""), (b"eve", None)]

keys = st.binary(min_size=1, max_size=5).filter(lambda key: not key.startswith(b"\0"))
logs = st.lists(st.tuples(keys, st.none() | st.binary(max_size=9)), max_size=12)


class TestSeal:
    def test_a_row_bears_the_crc_of_key_and_value_behind_the_value(self):
        [_, (_, value)] = Journal().seal([(b"ann", b"7")])
        assert value == b"7" + zlib.crc32(b"ann" + b"7").to_bytes(4, "little")

    def test_the_format_is_named_once_and_not_for_nothing(self):
        journal = Journal()
        assert journal.seal([]) == []
        assert journal.seal(ROWS)[0][0] == FORMAT_ROWS + b"2"
        assert [key for key, _ in journal.seal(ROWS)] == [b"ann", b"bob", b"eve"]

    def test_a_log_that_names_its_format_is_not_told_again(self):
        journal = Journal()
        journal.open(Journal().seal(ROWS))
        assert len(journal.seal(ROWS)) == len(ROWS)


class TestOpen:
    @given(logs, logs, st.integers(1, 5))
    def test_the_latest_rows_come_back_however_the_log_is_cut(self, before, after, size):
        """Rows of format 1 come first, bare; those of this one behind the row that says so."""
        log = [*before, *Journal().seal(after)]
        journal, found = Journal(), {}
        for start in range(0, len(log), size):
            found.update(journal.open(log[start : start + size]))
        assert found == dict(before) | dict(after)

    def test_a_superseded_row_is_not_looked_at(self):
        log = Journal().seal([(b"ann", b"7")])
        assert dict(Journal().open([log[0], (b"ann", b"damaged"), log[1]])) == {b"ann": b"7"}

    @pytest.mark.parametrize("value", [b"", b"7", b"7\0\0\0\0", b"damaged and longer"])
    def test_a_damaged_row_is_refused_by_its_key(self, value):
        log = Journal().seal([(b"ann", b"7"), (b"bob", b"8")])
        log[1] = (b"ann", value)
        with pytest.raises(CorruptStateError, match="b'ann' is damaged") as refused:
            Journal().open(log)
        assert refused.value.key == b"ann"

    def test_a_row_under_another_key_is_refused(self):
        log = Journal().seal([(b"ann", b"7")])
        with pytest.raises(CorruptStateError, match="b'bob' is damaged"):
            Journal().open([log[0], (b"bob", log[1][1])])

    def test_a_log_of_a_newer_release_is_refused(self):
        newer = FORMAT_ROWS + str(FORMAT + 1).encode()
        with pytest.raises(CorruptStateError, match="of a newer release: this one reads formats up to 2"):
            Journal().open([*Journal().seal(ROWS), (newer, b"")])
