"""Item rows survive the way over the topic to the last bit."""

import math

import msgspec
import numpy as np
import pytest

from online_models.errors import CorruptStateError
from online_models.events import hash_id, hash_ids
from online_models.items.neighbours import NeighbourRow
from streams.encode import encode_neighbours, read
from streams.item_rows import document_of, row_of
from streams.schemas import ItemNeighbours
from streams.schemas.documents import SAMPLES


def row(names=("sku-2", "sku-3"), hashes=None, price=math.nan):
    weights = np.random.default_rng(1).random((len(names), 3)).astype(np.float32)
    known = hash_ids(names) if hashes is None else np.array(hashes, np.uint64)
    return NeighbourRow(
        "sku-1", hash_id("sku-1"), "Shoes", price, 1 / 3, 0.1, 9, 2, list(names), known, weights
    )


@pytest.mark.parametrize(
    "sent", [row(), row(price=2.5), row(names=()), row(names=("", "sku-3"), hashes=(2**64 - 1, 7))]
)
def test_a_row_comes_back_as_it_was_sent(sent):
    came = row_of(read(ItemNeighbours, encode_neighbours([document_of(sent)])[0][1]))
    for name in NeighbourRow.__slots__:
        np.testing.assert_array_equal(getattr(came, name), getattr(sent, name))


def test_hashes_are_sent_only_where_an_id_is_missing():
    assert document_of(row()).hashes is None
    assert document_of(row(names=("", "sku-3"), hashes=(5, 7))).hashes == [f"{5:016x}", f"{7:016x}"]


@pytest.mark.parametrize("hashes", [[], ["1"], ["x", "y"], ["0", "1"], ["f" * 17, "1"]])
def test_hashes_that_do_not_fit_name_the_item(hashes):
    document = msgspec.structs.replace(SAMPLES["item_neighbours"], hashes=hashes)
    with pytest.raises(CorruptStateError, match="sku-1042"):
        row_of(document)
