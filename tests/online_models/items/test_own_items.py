"""What a user keeps coming back to is remembered, counted, and given up for what is worth more."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.items.own_items import OWN_FIELDS, OwnItems, OwnMemory, remember
from online_models.ragged import RaggedColumns

TOUCH_S = 28 * 86_400
touches = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(0, 60)), max_size=40)


def empty(users, width):
    return OwnItems(
        np.zeros((users, width), np.uint64),
        np.zeros((users, width), np.uint16),
        np.zeros((users, width), np.uint32),
    )


def feed(own, log, wanted=()):
    """Apply touches (user, item, day) and return what was known before some of them, by touch."""
    user = np.array([user for user, _, _ in log], np.int64)
    order = np.argsort(user, kind="stable")
    item = np.array([item for _, item, _ in log], np.uint64)[order]
    time_ms = np.array([day * 86_400_000 for _, _, day in log], np.int64)[order]
    at = np.flatnonzero(np.isin(order, wanted))
    before = remember(own, user[order], item, time_ms, at)
    return {int(order[place]): before.items[n].tolist() for n, place in enumerate(at.tolist())}


def one_by_one(log, width):
    """Return the same by the definition: a dictionary for every user."""
    held = [{} for _ in range(3)]
    for user, item, day in log:
        own, second = held[user], day * 86_400
        if item not in own and len(own) == width:
            del own[min(own, key=lambda key: own[key][1] + TOUCH_S * min(own[key][0], 13))]
        count, last = own.get(item, (0, 0))
        own[item] = (count + 1, max(last, second))
    return held


def as_dictionaries(own):
    columns = zip(*(column.tolist() for column in own), strict=True)
    return [{item: (count, last) for item, count, last in zip(*row, strict=True) if item} for row in columns]


@settings(max_examples=60, deadline=None)
@given(touches, st.sampled_from([1, 7, 100]))
def test_counts_and_times_do_not_depend_on_batches(log, size):
    own, whole = empty(3, 3), empty(3, 3)
    for start in range(0, len(log), size):
        feed(own, log[start : start + size])
    feed(whole, log)
    assert [column.tolist() for column in own] == [column.tolist() for column in whole]


@settings(max_examples=60, deadline=None)
@given(touches)
def test_while_there_is_room_every_item_is_counted(log):
    own = empty(3, 6)
    feed(own, log)
    assert as_dictionaries(own) == one_by_one(log, 6)


def slot_by_slot(log, width):
    """Return the same with places: what there is before each touch, and in the end."""
    held = [[(0, 0, 0)] * width for _ in range(3)]
    before = []
    for user, item, day in log:
        own = held[user]
        before.append([entry[0] for entry in own])
        known = [place for place, entry in enumerate(own) if entry[0] == item]
        worths = [last + TOUCH_S * min(count, 13) for _, count, last in own]
        place = known[0] if known else worths.index(min(worths))
        _, count, last = own[place] if known else (0, 0, 0)
        own[place] = (item, count + 1, max(last, day * 86_400))
    return before, held


@settings(max_examples=100, deadline=None)
@given(touches, st.sampled_from([1, 7, 100]), st.sampled_from([1, 3, 5, 8]), st.sampled_from([1, 3, 100]))
def test_every_place_is_as_if_touches_came_one_by_one(log, size, width, step):
    before, held = slot_by_slot(log, width)
    own, told = empty(3, width), {}
    for start in range(0, len(log), size):
        part = log[start : start + size]
        found = feed(own, part, wanted=range(step - 1, len(part), step))
        told |= {start + touch: items for touch, items in found.items()}
    assert told == {touch: before[touch] for touch in told}
    columns = zip(*(column.tolist() for column in own), strict=True)
    assert [list(zip(*row, strict=True)) for row in columns] == held


@settings(max_examples=60, deadline=None)
@given(touches, st.sampled_from([1, 7, 100]), st.sampled_from([1, 3, 5]))
def test_a_memory_that_grows_with_what_is_touched_is_one_with_all_its_places(log, size, width):
    kinds = dict(zip(OWN_FIELDS, (np.dtype("u8"), np.dtype("u2"), np.dtype("u4")), strict=True))
    memory = OwnMemory(RaggedColumns(kinds, width, 10), np.array([7, 2, 4]))
    whole = empty(3, width)
    for start in range(0, len(log), size):
        part = sorted(log[start : start + size], key=lambda touch: touch[0])
        user, item, day = np.array(part, np.int64).T
        wanted = np.arange(0, user.size, 2)
        given = (item.astype(np.uint64), day * 86_400_000, wanted)
        before, expected = memory.touch(user, *given), remember(whole, user, *given)
        assert [column.tolist() for column in before.widened(width)] == [c.tolist() for c in expected]
    found = OwnItems(*memory.columns.take(memory.rows)).widened(width)
    assert [column.tolist() for column in found] == [column.tolist() for column in whole]


def test_items_of_several_groups_of_users_are_as_wide_as_the_widest():
    found = OwnItems.concat([empty(1, 2), OwnItems.none(2), empty(1, 3)])
    assert [column.shape for column in found] == [(4, 3)] * 3
    assert len(OwnItems.concat([]).items) == 0


def test_a_new_item_takes_the_place_of_what_is_worth_least():
    own = empty(1, 2)
    feed(own, [(0, 1, 0), (0, 1, 1), (0, 1, 2), (0, 2, 10), (0, 3, 11)])
    assert set(own.items[0].tolist()) == {1, 3}, "three touches outweigh a later one"
    feed(own, [(0, 2, 200), (0, 4, 201)])
    assert set(own.items[0].tolist()) == {2, 4}, "but not for ever"


def test_what_was_known_before_a_touch_is_told():
    before = feed(empty(2, 2), [(0, 5, 0), (1, 6, 0), (0, 7, 1), (1, 8, 1)], wanted=[0, 2, 3])
    assert before == {0: [0, 0], 2: [5, 0], 3: [6, 0]}


def test_an_earlier_touch_that_comes_late_counts_and_keeps_the_latest_time():
    own = empty(1, 2)
    feed(own, [(0, 5, 9), (0, 5, 3)])
    assert (own.counts[0, 0], own.last_s[0, 0]) == (2, 9 * 86_400)
