"""Damage of every kind to every kind of row: it is refused by its key, or it made no difference."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.errors import CorruptStateError
from tests.fixtures.write_state import STORES, Shop
from tests.online_models.test_upgrade import FIXTURES, read


@functools.cache
def written():
    """Return the rows that every store has written by now, and what is true of the three."""
    shop, rows = Shop(), {name: [] for name in STORES}
    for first, last in ((0, 80), (80, 100)):
        shop.apply(first, last)
        for name, row in shop.dirty_rows():
            rows[name].append(row)
    return rows, shop.facts()


def kind_of(key):
    return key[: key.index(b":") + 1] if key[:1] == b"\0" and b":" in key else key[:1] + b".."


@st.composite
def damage(draw, rows):
    """Draw a row, every kind of row as often as another, and return its place and what became of it."""
    places = {}
    for place, (key, value) in enumerate(rows):
        if value is not None:
            places.setdefault(kind_of(key), []).append(place)
    place = draw(st.sampled_from(places[draw(st.sampled_from(sorted(places)))]))
    key, value = rows[place]

    def flipped(data):
        at = draw(st.integers(0, len(data) - 1))
        return data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]

    others = [v for k, v in rows if v is not None and k != key]
    ways = {
        "flipped": lambda: (key, flipped(value)),
        "cut": lambda: (key, value[: draw(st.integers(0, len(value) - 1))]),
        "longer": lambda: (key, value + draw(st.binary(min_size=1, max_size=9))),
        "of another row": lambda: (key, draw(st.sampled_from(others))),
        "noise": lambda: (key, draw(st.binary(max_size=40))),
        "under another key": lambda: (flipped(key), value),
    }
    return place, ways[draw(st.sampled_from(sorted(ways)))]()


def load(name, rows, chunk):
    """Return a shop with one store restored and None, or None and the error that says why not."""
    shop = Shop()
    store = getattr(shop, name)
    try:
        for start in range(0, len(rows), chunk):
            store.restore(rows[start : start + chunk])
        store.restored()
    except CorruptStateError as error:
        return None, error
    return shop, None


SECTION = {"users": ("users", "clock"), "items": ("items",), "trainer": ("model",)}


@pytest.mark.parametrize("name", STORES)
@settings(max_examples=150, deadline=None)
@given(data=st.data(), chunk=st.sampled_from((1, 7, 1_000)))
def test_a_damaged_row_is_refused_by_its_key_or_made_no_difference(name, data, chunk):
    rows, facts = written()
    place, row = data.draw(damage(rows[name]))
    damaged = [*rows[name][:place], row, *rows[name][place + 1 :]]
    shop, error = load(name, damaged, chunk)
    if error is not None:
        assert error.key is not None
        assert error.key == row[0] or row[0] != rows[name][place][0], "another row got the blame"
    else:
        found = shop.facts()
        assert {part: found[part] for part in SECTION[name]} == {part: facts[part] for part in SECTION[name]}


@pytest.mark.parametrize("name", STORES)
@settings(max_examples=150, deadline=None)
@given(data=st.data(), chunk=st.sampled_from((1, 1_000)))
def test_rows_of_format_1_bear_no_seal_but_are_never_loaded_as_something_else(name, data, chunk):
    """Without a checksum another number cannot be told; whatever is no row at all still is."""
    rows = read(FIXTURES[0])[0][name]
    place, row = data.draw(damage(rows))
    _, error = load(name, [*rows[:place], row, *rows[place + 1 :]], chunk)
    assert error is None or error.key is not None


@pytest.mark.parametrize("name", STORES)
def test_a_table_is_left_as_it_was_by_rows_that_are_refused(name):
    rows, _ = written()
    key, value = rows[name][-1]
    shop = Shop()
    with pytest.raises(CorruptStateError):
        getattr(shop, name).restore([*rows[name][:-1], (key, value[:-1])])
    assert not shop.facts()[SECTION[name][0]] or name == "trainer"
    assert shop.trainer.version == 0
