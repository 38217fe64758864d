"""The lists that were shown: which touch came of which place, whatever is cut or restarted meanwhile."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models import snapshots
from online_models.churn.profile import UserStore
from online_models.churn.settings import HOUR_MS, MINUTE_MS
from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.items.shown import ROW_PREFIX, ShownLists
from tests.online_models.churn.workload import SMALL, START_MS, Event, batch_of, cut

WINDOW = 30 * MINUTE_MS


def shown(subject, items, at=0):
    return Event(subject, "recommendation_shown", START_MS + at, tuple(items))


def touch(subject, item, at=0, kind="view_item"):
    return Event(subject, kind, START_MS + at, (item,))


def places(store, *events):
    batch = batch_of(events)
    return store.places(batch, np.arange(len(batch))).tolist()


def lists(**options):
    return ShownLists(WINDOW, HOUR_MS, **options)


class TestPlaces:
    def test_a_touch_came_of_the_place_its_item_had(self):
        assert places(lists(), shown("u:1", "abc"), touch("u:1", "c"), touch("u:1", "x")) == [0, 0, 0, 3, 0]

    def test_every_item_of_an_event_has_its_own(self):
        both = Event("u:1", "purchase", START_MS, ("b", "x", "a"))
        assert places(lists(), shown("u:1", "ab"), both)[2:] == [2, 0, 1]

    def test_of_anothers_list_nobody_touches(self):
        assert places(lists(), shown("u:1", "a"), touch("u:2", "a")) == [0, 0]

    def test_the_latest_list_counts(self):
        assert places(lists(), shown("u:1", "ab"), shown("u:1", "b"), touch("u:1", "b"))[-1] == 1

    def test_a_list_that_does_not_say_what_was_in_it_changes_nothing(self):
        assert places(lists(), shown("u:1", "ab"), shown("u:1", ""), touch("u:1", "b"))[-1] == 2

    def test_what_was_not_touched_came_of_nothing(self):
        assert places(lists(), shown("u:1", "a"), touch("u:1", "a", kind="remove_from_cart"))[-1] == 0

    @pytest.mark.parametrize(("after", "place"), [(0, 1), (WINDOW - 1, 1), (WINDOW, 0), (-1, 0)])
    def test_a_list_counts_until_its_window_ends_and_not_before_it_was_shown(self, after, place):
        found = places(lists(), shown("u:1", "a", at=HOUR_MS), touch("u:1", "a", at=HOUR_MS + after))
        assert found[-1] == place

    def test_the_lists_shown_first_give_way(self):
        store = lists(max_users=3)
        for number in range(9):
            places(store, shown(f"u:{number}", "a"))
            assert len(store) <= 3
        assert places(store, *(touch(f"u:{number}", "a") for number in range(9))) == [0] * 6 + [1] * 3

    def test_lists_nothing_can_come_of_any_more_give_way(self):
        store = lists()
        for number in range(40):
            places(store, shown(f"u:{number}", "a", at=number * WINDOW))
        assert len(store) <= 4

    def test_there_must_be_room_for_one(self):
        with pytest.raises(InvalidParameterError, match="max_users must be at least 1, got 0"):
            lists(max_users=0)


def logs():
    subject, item = st.sampled_from(["u:1", "u:2", "a:3"]), st.sampled_from("abcd")
    at = st.integers(0, 12).map(lambda step: step * 10 * MINUTE_MS)
    some = st.lists(item, min_size=0, max_size=4, unique=True)
    return st.lists(
        st.one_of(st.builds(shown, subject, some, at), st.builds(touch, subject, item, at)), max_size=40
    )


class TestState:
    @settings(max_examples=60, deadline=None)
    @given(log=logs(), size=st.sampled_from((1, 7)))
    def test_neither_cuts_nor_restarts_change_a_place(self, log, size):
        expected = lists(max_users=2)
        whole = places(expected, *log)
        changelog, found = {}, []
        for batch in cut(log, size):
            store = lists(max_users=2)
            store.restore(list(reversed(changelog.items())))
            found += store.places(batch, np.arange(len(batch))).tolist()
            changelog |= dict(store.dirty_rows())
        assert found == whole
        kept = {key: value for key, value in changelog.items() if value is not None}
        assert kept == {key: value for key, value in expected.dirty_rows() if value is not None}

    @settings(max_examples=25, deadline=None)
    @given(log=logs(), size=st.sampled_from((1, 7)))
    def test_the_store_of_users_tells_them_with_the_touches(self, log, size):
        # A touch that comes too late for its session teaches nothing.
        log, options = sorted(log, key=lambda event: event.time), SMALL

        def told(batches):
            store, found = UserStore(options), []
            for batch in batches:
                contexts = store.apply(batch).contexts
                found += [] if contexts is None else contexts.shown_at.tolist()
            return found

        touching = [event.kind == "view_item" for event in log for _ in event.items]
        expected = ShownLists(options.session_gap_ms, options.allowed_lateness_ms)
        by_hand = np.array(places(expected, *log), np.int64)[np.array(touching, np.bool_)].tolist()
        assert told(cut(log, size)) == told([batch_of(log)] if log else []) == by_hand

    def test_of_an_erased_user_nothing_stays(self):
        store = UserStore(SMALL)
        store.apply(batch_of([shown("u:1", "ab"), touch("u:1", "x")]))
        assert dict(store.dirty_rows())[ROW_PREFIX + b"u:1"] is not None
        store.apply(batch_of([Event("u:1", "user_erased"), touch("u:1", "b")], 2))
        assert dict(store.dirty_rows())[ROW_PREFIX + b"u:1"] is None

    @pytest.mark.parametrize("items", ["ab", np.zeros(2), np.zeros((1, 1), np.uint64)])
    def test_a_row_that_lists_no_items_is_refused(self, items):
        row = snapshots.pack("shown-list", 1, {"number": 1, "time_ms": 0, "items": items})
        with pytest.raises(CorruptStateError) as error:
            lists().restore([(ROW_PREFIX + b"u:1", row)])
        assert error.value.key == ROW_PREFIX + b"u:1"
