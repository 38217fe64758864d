"""Sessions and cases, read off the rule of the contract."""

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.evaluation.cases import SessionFollower, shuffle_items
from online_models.events import KIND, EventBatch, hash_id

MINUTE = 60_000


def batch(*rows):
    """Return events of (minute, subject, kind, items, session id)."""
    items = [item for row in rows for item in row[3]]
    return EventBatch(
        subject=[row[1] for row in rows],
        event_id=np.arange(1, len(rows) + 1, dtype=np.uint64),
        kind=np.array([KIND[row[2]] for row in rows], dtype=np.int8),
        time=np.array([row[0] * MINUTE for row in rows], dtype=np.int64),
        offset=np.arange(len(rows), dtype=np.int64),
        session=np.array([hash_id(row[4]) if row[4] else 0 for row in rows], dtype=np.uint64),
        value=np.full(len(rows), np.nan),
        rating=np.full(len(rows), np.nan),
        item_start=np.concatenate(([0], np.cumsum([len(row[3]) for row in rows]))).astype(np.int64),
        item=items,
        item_hash=np.array([hash_id(item) for item in items], dtype=np.uint64),
        category=[""] * len(items),
        price=np.full(len(items), np.nan),
        quantity=np.ones(len(items)),
    )


def seen(*rows, gap_ms=30 * MINUTE):
    """Return (item, earlier items, session number) of every touch."""
    names = {hash_id(item): item for row in rows for item in row[3]}
    return [
        (names[touch.item], "".join(names[item] for item in touch.earlier), touch.session)
        for touch in SessionFollower(gap_ms).touches(batch(*rows))
    ]


class TestSessions:
    def test_are_cut_by_a_silence_longer_than_the_gap(self):
        assert seen(
            (0, "u:1", "view_item", "a", ""),
            (30, "u:1", "view_item", "b", ""),
            (61, "u:1", "view_item", "c", ""),
        ) == [("a", "", 0), ("b", "a", 0), ("c", "", 1)]

    def test_any_activity_bridges_the_gap_but_what_the_shop_does_not(self):
        first, last = (0, "u:1", "view_item", "a", ""), (40, "u:1", "view_item", "b", "")
        assert seen(first, (20, "u:1", "search", "", ""), last)[1] == ("b", "a", 0)
        assert seen(first, (20, "u:1", "intervention_sent", "", ""), last)[1] == ("b", "", 1)

    def test_an_id_holds_a_session_together_and_another_id_ends_it(self):
        assert seen(
            (0, "u:1", "view_item", "a", "s"),
            (90, "u:1", "view_item", "b", "s"),
            (91, "u:1", "view_item", "c", "t"),
        ) == [("a", "", 0), ("b", "a", 0), ("c", "", 1)]

    def test_a_late_event_opens_none_and_joins_only_where_it_belongs(self):
        rows = [(0, "u:1", "view_item", "a", "s"), (100, "u:1", "view_item", "b", "t")]
        assert seen(*rows, (50, "u:1", "view_item", "c", "s"))[2:] == []
        assert seen(*rows, (99, "u:1", "view_item", "c", "t"))[2:] == [("c", "b", 1)]
        assert seen(*rows, (50, "u:1", "view_item", "c", ""))[2:] == []

    def test_users_do_not_share_sessions(self):
        assert seen((0, "u:1", "view_item", "a", "s"), (1, "a:1", "view_item", "b", "s")) == [
            ("a", "", 0),
            ("b", "", 1),
        ]


class TestTouches:
    def test_items_of_one_event_follow_each_other_and_repeats_stay(self):
        assert seen((0, "u:1", "purchase", "ab", ""), (1, "u:1", "view_item", "a", "")) == [
            ("a", "", 0),
            ("b", "a", 0),
            ("a", "ab", 0),
        ]

    def test_items_that_were_only_listed_are_not_touched(self):
        assert seen((0, "u:1", "view_item_list", "ab", ""), (1, "u:1", "view_item", "a", "")) == [
            ("a", "", 0)
        ]

    def test_a_negative_gap_is_refused(self):
        with pytest.raises(InvalidParameterError, match="gap_ms must not be negative, got -1"):
            SessionFollower(-1)


class TestShuffle:
    def test_keeps_every_item_with_its_event_and_its_columns(self):
        events = batch(*[(place, "u:1", "purchase", "abcdef"[place % 3 :], "") for place in range(9)])
        events.price[:] = events.item_hash.astype(float)
        mixed = shuffle_items(events)
        for row in range(len(events)):
            span = slice(events.item_start[row], events.item_start[row + 1])
            assert sorted(mixed.item[span]) == sorted(events.item[span])
        assert mixed.item_hash.tolist() == [hash_id(item) for item in mixed.item]
        assert mixed.price.tolist() == mixed.item_hash.astype(float).tolist()

    def test_a_sorted_basket_tells_nothing_about_what_comes_next(self):
        events = batch(*[(place, "u:1", "purchase", "abcdefgh", "") for place in range(300)])
        mixed = shuffle_items(events)
        rises = sum(one < other for one, other in zip(mixed.item, mixed.item[1:], strict=False))
        assert 0.45 < rises / len(mixed.item) < 0.55

    def test_is_the_same_however_the_log_is_cut(self):
        events = batch(*[(place, "u:1", "purchase", "abcd", "") for place in range(10)])
        parts = [shuffle_items(events.take(np.array([row]))).item for row in range(10)]
        assert [item for part in parts for item in part] == list(shuffle_items(events).item)
