import numpy as np
import pytest

from online_models.errors import CorruptStateError
from online_models.items.item_table import ItemTable
from online_models.items.rows import item_layout
from online_models.items.settings import CooccurrenceSettings
from online_models.row_format import SCHEMA_ROWS

SETTINGS = CooccurrenceSettings(slots=4, published_partners=3)
HEADER = 6


def row_with(**fields):
    """Return rows of a table with one item, whose row says something else in these fields."""
    table = ItemTable(SETTINGS)
    table.intern(np.array([7], np.uint64))
    [schema, (key, value)] = table.dirty_rows()
    held = np.frombuffer(bytearray(value[HEADER:]), item_layout(SETTINGS).schema.dtype)
    for name, wrong in fields.items():
        held[name] = wrong
    return [schema, (key, value[:HEADER] + held.tobytes())]


def test_a_removed_item_leaves_a_tombstone_unless_it_comes_back():
    table = ItemTable(SETTINGS)
    rows = table.intern(np.array([7, 5, 7], np.uint64))
    table.dirty_rows()
    table.remove(rows[:2])
    assert len(table) == 0
    assert table.intern(np.array([5], np.uint64)).size == 1
    written = dict(table.dirty_rows())
    assert [written[f"{item:016x}".encode()] is None for item in (7, 5)] == [True, False]


@pytest.mark.parametrize("fields", [{"used": 5}, {"used": -1}, {"hash": 8}, {"hash": 0}])
def test_a_row_that_no_release_has_written_is_refused_by_its_key(fields):
    """Kernels go by what a row says, so that it is looked at before."""
    with pytest.raises(CorruptStateError, match="slots, of item") as refused:
        ItemTable(SETTINGS).restore(row_with(**fields))
    assert refused.value.key == f"{7:016x}".encode()


@pytest.mark.parametrize("key", [b"ann", b"0" * 16, b"x" * 16])
def test_a_key_that_is_no_hash_is_refused(key):
    [schema, (_, value)] = row_with()
    assert schema[0].startswith(SCHEMA_ROWS)
    with pytest.raises(CorruptStateError, match="no item's"):
        ItemTable(SETTINGS).restore([schema, (key, value)])


def test_a_restored_row_is_what_it_was():
    table = ItemTable(SETTINGS)
    table.restore(row_with(used=2, partner=[3, 4, 0, 0], touches=9))
    [row] = table.find(np.array([7], np.uint64))
    assert table.rows["touches"][row] == 9
    assert table.slots.take(np.array([row]), np.array([2]))[0].tolist() == [[3, 4, 0, 0]]
