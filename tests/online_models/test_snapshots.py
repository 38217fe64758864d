from typing import ClassVar

import numpy as np
import pytest

from online_models import snapshots
from online_models.errors import CorruptStateError


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", ["i1", "i8", "u8", "f4", "f8", "?", ">i4"])
    def test_columns_keep_type_shape_and_bits(self, dtype):
        column = np.array([[0, 1, 1], [1, 0, 1]], dtype)
        found = snapshots.unpack("x", 1, snapshots.pack("x", 1, {"column": column}))["column"]
        assert found.dtype == column.dtype.newbyteorder("<")
        assert np.array_equal(found, column)

    def test_numbers_come_back_bit_for_bit(self):
        content = {"float": 0.1 + 0.2, "nan": [float("inf"), -0.0], "int": 2**63, "text": "é", "none": None}
        assert snapshots.unpack("x", 1, snapshots.pack("x", 1, content)) == content

    def test_empty_and_strided_columns_are_fine(self):
        matrix = np.arange(12.0).reshape(3, 4)
        content = {"none": matrix[:0], "every_other": matrix[:, ::2]}
        found = snapshots.unpack("x", 1, snapshots.pack("x", 1, content))
        assert found["none"].shape == (0, 4)
        assert found["every_other"].tolist() == matrix[:, ::2].tolist()


class TestUpgrade:
    UPGRADES: ClassVar = {
        1: lambda content: {**content, "y": content["x"] * 2},
        2: lambda content: {"sum": content["x"] + content["y"]},
    }

    @pytest.mark.parametrize(("version", "content"), [(1, {"x": 3}), (2, {"x": 3, "y": 6}), (3, {"sum": 9})])
    def test_content_climbs_version_by_version(self, version, content):
        data = snapshots.pack("x", version, content)
        assert snapshots.unpack("x", 3, data, self.UPGRADES) == {"sum": 9}

    def test_a_newer_version_is_refused_in_words(self):
        with pytest.raises(
            CorruptStateError, match="x is of a newer release: version 4, this one reads up to"
        ):
            snapshots.unpack("x", 3, snapshots.pack("x", 4, {}), self.UPGRADES)

    def test_content_that_cannot_be_upgraded_is_refused(self):
        with pytest.raises(CorruptStateError, match=r"x is not what it should be: KeyError\('x'\)"):
            snapshots.unpack("x", 3, snapshots.pack("x", 1, {}), self.UPGRADES)


class TestRefusal:
    def test_another_version_is_named(self):
        with pytest.raises(CorruptStateError, match="expected model version 2, found model version 1"):
            snapshots.unpack("model", 2, snapshots.pack("model", 1, {}))

    def test_another_kind_is_named(self):
        with pytest.raises(CorruptStateError, match="found clock"):
            snapshots.unpack("model", 1, snapshots.pack("clock", 1, {}))

    @pytest.mark.parametrize(
        "data", [b"", b"\xc1", b"\x01", b"\x93\x01\x02\x03", b"\x93\xa1x\x01\xc7\x01\x05a"]
    )
    def test_foreign_bytes_are_refused(self, data):
        with pytest.raises(CorruptStateError, match="model"):
            snapshots.unpack("model", 1, data)

    @pytest.mark.parametrize("value", [np.array(["a"]), np.array([None]), object()])
    def test_only_plain_content_is_packed(self, value):
        with pytest.raises(TypeError, match="plain"):
            snapshots.pack("model", 1, {"value": value})
