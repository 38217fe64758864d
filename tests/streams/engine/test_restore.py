import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.errors import CorruptStateError
from streams.engine.restore import POSITION_KEY, decode_position, encode_position

positions = st.integers(0, 2**62)


@given(positions)
def test_a_position_survives(position):
    assert decode_position(encode_position(position)) == position


def test_a_position_of_version_1_bears_no_checksum_and_is_read():
    assert decode_position(msgspec.msgpack.encode([1, 33_019])) == 33_019


@given(positions, st.data())
def test_a_damaged_position_is_refused_or_the_same(position, data):
    """Another position would lose events, or count them twice."""
    value = encode_position(position)
    at, change = data.draw(st.integers(0, len(value) - 1)), data.draw(st.integers(1, 255))
    for damaged in (
        value[:at] + bytes([value[at] ^ change]) + value[at + 1 :],
        value[:at],
        value + bytes([change]),
    ):
        with contextlib.suppress(CorruptStateError):
            assert decode_position(damaged) == position


@pytest.mark.parametrize(
    "content", [[], [1], [1, -1], ["a", 2], {"a": 1}, [2, 5], [2, 5, 7], [1, 5, 7], None, 5]
)
def test_what_is_no_position_is_refused(content):
    with pytest.raises(CorruptStateError, match="position row") as refused:
        decode_position(msgspec.msgpack.encode(content))
    assert refused.value.key == POSITION_KEY


def test_a_position_of_a_newer_release_is_refused_in_words():
    with pytest.raises(CorruptStateError, match="of a newer release: version 3"):
        decode_position(msgspec.msgpack.encode([3, 5, 7, 9]))
