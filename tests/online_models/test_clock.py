import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.clock import NEVER, PartitionClock
from online_models.errors import CorruptStateError, InvalidParameterError

times = st.lists(st.integers(1, 200), min_size=1, max_size=30)


def always():
    return 0


def ticks(clock, events, next_due=always):
    return [tick for _, _, tick in clock.split(np.array(events), next_due) if tick is not None]


class TestSplit:
    def test_an_event_at_the_grid_point_comes_before_its_tick(self):
        assert list(PartitionClock(10).split(np.array([5, 10, 11]), always)) == [
            (0, 2, None),
            (2, 2, 10),
            (2, 3, None),
        ]

    def test_the_first_event_runs_no_tick(self):
        assert ticks(PartitionClock(10), [12_345]) == []

    def test_the_end_of_a_batch_ticks_nothing(self):
        assert ticks(PartitionClock(10), [1, 9, 10]) == []

    def test_an_earlier_event_does_not_turn_the_clock_back(self):
        clock = PartitionClock(10)
        assert ticks(clock, [25, 3, 26]) == []
        assert clock.now_ms == 26

    def test_an_empty_stretch_jumps_to_what_is_due_and_asks_again(self):
        due = iter([95, 101, NEVER])
        assert ticks(PartitionClock(10), [5, 1000], lambda: next(due)) == [100, 110]

    def test_a_tick_passed_over_is_not_run_later(self):
        clock = PartitionClock(10)
        assert ticks(clock, [5, 1000], lambda: NEVER) == []
        assert ticks(clock, [1001]) == [1000]

    @given(times, st.integers(1, 10))
    def test_events_and_ticks_interleave_the_same_wherever_batches_are_cut(self, events, size):
        def trace(clock, cut):
            found = []
            for at in range(0, len(events), cut):
                for start, stop, tick in clock.split(np.array(events[at : at + cut]), always):
                    found += (
                        [("event", at + i) for i in range(start, stop)] if tick is None else [("tick", tick)]
                    )
            return found

        whole = trace(PartitionClock(10), len(events))
        assert trace(PartitionClock(10), size) == whole
        assert [i for what, i in whole if what == "event"] == list(range(len(events)))

    @given(times)
    def test_every_tick_lies_before_the_next_event_and_not_before_an_earlier_one(self, events):
        seen = 0
        for start, stop, tick in PartitionClock(10).split(np.array(events), always):
            if tick is None:
                seen = max(seen, *events[start:stop])
            else:
                assert seen <= tick < max(events[start:])


class TestAdvance:
    def test_the_live_clock_runs_the_ticks_before_now(self):
        clock = PartitionClock(10)
        ticks(clock, [5])
        assert list(clock.advance(30, always)) == [10, 20]
        assert list(clock.advance(31, always)) == [30]
        assert clock.now_ms == 31

    def test_the_past_changes_nothing(self):
        clock = PartitionClock(10)
        ticks(clock, [95])
        assert list(clock.advance(50, always)) == []
        assert clock.now_ms == 95

    def test_before_the_first_event_there_is_no_clock(self):
        clock = PartitionClock(10)
        assert list(clock.advance(50, always)) == []
        assert clock.now_ms == -1


class TestState:
    @given(times, times)
    def test_a_restored_clock_goes_on_where_it_stood(self, before, after):
        clock, copy = PartitionClock(10), PartitionClock(10)
        ticks(clock, before)
        copy.unpack(clock.pack())
        assert ticks(copy, after) == ticks(clock, after)

    def test_a_clock_with_another_grid_goes_on_at_its_next_point(self):
        clock = PartitionClock(10)
        list(clock.split(np.array([12, 25]), lambda: 0))
        assert (clock.now_ms, clock.next_tick_ms) == (25, 30)
        other = PartitionClock(7)
        other.unpack(clock.pack())
        assert (other.now_ms, other.next_tick_ms) == (25, 35)

    def test_foreign_bytes_are_refused(self):
        with pytest.raises(CorruptStateError, match="clock"):
            PartitionClock(10).unpack(b"\xc1")

    def test_a_grid_needs_a_distance(self):
        with pytest.raises(InvalidParameterError, match=r"tick_ms .* got 0"):
            PartitionClock(0)
