import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.admission import HOUR_MS, Admission
from online_models.clock import NEVER
from online_models.errors import CorruptStateError, InvalidParameterError

MINUTE_MS = 60_000


def admission(lateness=HOUR_MS, window=3 * HOUR_MS, max_ids=1_000_000):
    return Admission(allowed_lateness_ms=lateness, dedupe_window_ms=window, max_ids=max_ids)


def admit(store, *events):
    ids, times = zip(*events, strict=True)
    found = store.admit(np.array(ids, np.uint64), np.array(times, np.int64))
    return found.accepted.tolist(), found.duplicates.tolist(), [index for index, _ in found.rejects]


class TestDuplicates:
    def test_the_first_of_equal_ids_is_accepted(self):
        assert admit(admission(), (7, 10), (8, 11), (7, 10)) == ([0, 1], [2], [])

    def test_an_id_is_known_in_later_batches_whatever_its_time(self):
        store = admission()
        admit(store, (7, 10))
        assert admit(store, (7, 2 * HOUR_MS), (8, 2 * HOUR_MS)) == ([1], [0], [])

    def test_an_id_is_forgotten_a_window_after_its_hour(self):
        store = admission()
        admit(store, (7, 10))
        assert store.next_due() == 4 * HOUR_MS
        store.tick(4 * HOUR_MS - 1)
        assert len(store) == 1
        store.tick(4 * HOUR_MS)
        assert len(store) == 0
        assert store.next_due() == NEVER
        assert admit(store, (7, 4 * HOUR_MS)) == ([0], [], [])


class TestLateness:
    def test_an_event_at_the_allowed_lateness_is_accepted_one_beyond_it_is_not(self):
        assert admit(admission(), (1, 2 * HOUR_MS), (2, HOUR_MS), (3, HOUR_MS - 1)) == ([0, 1], [], [2])

    def test_lateness_counts_from_what_came_before_not_after(self):
        assert admit(admission(), (1, 10), (2, 5 * HOUR_MS)) == ([0, 1], [], [])

    def test_a_late_repeat_is_a_duplicate_not_a_reject(self):
        assert admit(admission(), (1, 10), (2, 2 * HOUR_MS), (1, 10)) == ([0, 1], [2], [])

    def test_a_late_event_whose_id_comes_again_in_time_is_rejected_first(self):
        late = (1, 10)
        assert admit(admission(), (2, 2 * HOUR_MS), late, (1, 2 * HOUR_MS), late) == ([0, 2], [3], [1])

    def test_the_reject_says_how_late(self):
        found = admission().admit(np.array([1, 2], np.uint64), np.array([3 * HOUR_MS, 0]))
        [(_, reject)] = found.rejects
        assert reject.reason == "too_late"
        assert reject.message == "10800 s behind the partition's clock, allowed 3600 s"


class TestBound:
    def test_when_the_places_are_used_up_the_oldest_hour_goes_first(self):
        store = admission(max_ids=4)
        admit(store, (1, 10), (2, 20), (3, HOUR_MS), (4, HOUR_MS))
        assert (len(store), store.dropped) == (4, 0)
        assert admit(store, (4, HOUR_MS), (2, HOUR_MS), (1, HOUR_MS)) == ([2], [0, 1], [])
        assert (len(store), store.dropped) == (4, 1)

    def test_a_flood_within_one_hour_keeps_its_newest_ids(self):
        store = admission(max_ids=80)
        flood = np.arange(1, 10_001, dtype=np.uint64)
        accepted = store.admit(flood, np.full(flood.size, HOUR_MS)).accepted
        assert accepted.size == flood.size
        assert 70 <= len(store) <= 80
        assert store.dropped == 10_000 - len(store)
        newest = flood[-60:]
        assert store.admit(newest, np.full(newest.size, HOUR_MS)).duplicates.size == newest.size

    def test_a_window_saved_with_a_larger_bound_shrinks(self):
        store = admission()
        admit(store, *((value, value * HOUR_MS) for value in range(1, 31)))
        copy = admission(max_ids=8)
        copy.restore(store.dirty_rows())
        copy.restored()
        admit(copy, (99, 31 * HOUR_MS))
        assert len(copy) <= 8
        assert admit(copy, (30, 31 * HOUR_MS)) == ([], [0], [])

    @given(
        st.lists(st.tuples(st.integers(1, 60), st.integers(0, 300)), min_size=1, max_size=150),
        st.integers(1, 20),
    )
    def test_what_is_dropped_does_not_depend_on_where_batches_are_cut(self, events, max_ids):
        events = [(value, minute * MINUTE_MS) for value, minute in events]
        outcomes = []
        for size in (1, 7, len(events)):
            store, decisions = admission(max_ids=max_ids), []
            for at in range(0, len(events), size):
                found = admit(store, *events[at : at + size])
                decisions += [(kind, at + i) for kind, places in enumerate(found) for i in places]
                assert len(store) <= max_ids
            outcomes.append((sorted(decisions), len(store), store.dropped))
        assert outcomes[0] == outcomes[1] == outcomes[2]


class TestState:
    @given(
        st.lists(st.tuples(st.integers(1, 40), st.integers(0, 90)), min_size=1, max_size=80),
        st.integers(1, 9),
        st.sampled_from((5, 16, 1_000)),
    )
    def test_a_window_restored_after_any_checkpoint_decides_the_same(self, events, size, max_ids):
        events = [(value, minute * MINUTE_MS) for value, minute in events]
        whole, log, decisions, expected = admission(max_ids=max_ids), [], [], []
        for at in range(0, len(events), size):
            store = admission(max_ids=max_ids)
            store.restore(log)
            store.restored()
            store.latest_ms = whole.latest_ms
            part = events[at : at + size]
            decisions.append(admit(store, *part))
            log += store.dirty_rows()
            expected.append(admit(whole, *part))
        assert decisions == expected

    def test_many_checkpoints_leave_few_rows(self):
        store, rows = admission(), {}
        for number in range(2_000):
            admit(store, (number + 1, 10))
            for key, value in store.dirty_rows():
                rows.pop(key, None) if value is None else rows.update({key: value})
        assert len(rows) < 80
        copy = admission()
        copy.restore(rows.items())
        copy.restored()
        assert len(copy) == 2_000

    def test_a_dropped_hour_takes_all_its_rows_along(self):
        store, rows = admission(), {}
        for number in range(40):
            admit(store, (number + 1, 10))
            rows.update(store.dirty_rows())
        store.tick(9 * HOUR_MS)
        rows.update(store.dirty_rows())
        assert {key for key, value in rows.items() if value is not None} == set()

    @pytest.mark.parametrize(
        "row", [(b"\0dedupe:x", b""), (b"\0dedupe:1:2:3:4", b""), (b"\0dedupe:1:2", b"1234567")]
    )
    def test_foreign_rows_are_refused(self, row):
        with pytest.raises(CorruptStateError, match="dedupe"):
            admission().restore([row])


class TestParameters:
    def test_the_window_covers_the_lateness(self):
        with pytest.raises(InvalidParameterError, match=r"dedupe_window_ms .* got 5"):
            admission(lateness=6, window=5)
        with pytest.raises(InvalidParameterError, match=r"allowed_lateness_ms .* got -1"):
            admission(lateness=-1)
