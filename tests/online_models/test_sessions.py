import numpy as np
import pytest

from online_models.sessions import cut_sessions, follow_touches, push, starts_of

GAP_MS = 30


def cut(group, time, session, *, known=None, last_ms=None, present=None, start_ms=None):
    users = max(group) + 1
    return cut_sessions(
        group=np.array(group),
        time=np.array(time, np.int64),
        session=np.array(session, np.uint64),
        known=np.array(known or [False] * users),
        last_ms=np.array(last_ms or [0] * users, np.int64),
        present=np.array(present or [0] * users, np.uint64),
        start_ms=np.array(start_ms or [0] * users, np.int64),
        gap_ms=GAP_MS,
    )


class TestCutSessions:
    def test_a_gap_is_longer_than_the_setting_not_equal(self):
        found = cut([0, 0, 0], [100, 130, 161], [0, 0, 0])
        assert found.opens.tolist() == [True, False, True]
        assert found.ordinal.tolist() == [1, 1, 2]
        assert found.gap_ms.tolist() == [0, 0, 31]

    def test_users_do_not_see_each_other(self):
        found = cut([0, 0, 1, 1], [1000, 1001, 5, 6], [0, 0, 0, 0])
        assert found.opens.tolist() == [True, False, True, False]
        assert found.last_ms.tolist() == [1001, 6]
        assert found.session_start_ms.tolist() == [1000, 5]

    def test_a_new_session_id_opens_a_session_at_once(self):
        found = cut([0, 0, 0], [100, 101, 102], [7, 8, 7])
        assert found.opens.tolist() == [True, True, True]
        assert found.session.tolist() == [7]

    def test_the_state_of_earlier_batches_counts(self):
        found = cut([0, 1], [120, 120], [0, 7], known=[True, True], last_ms=[100, 80], present=[0, 7])
        assert found.opens.tolist() == [False, False]
        assert found.session.tolist() == [0, 7]

    @pytest.mark.parametrize(
        ("session", "time", "joins"), [(0, 95, True), (0, 89, False), (7, 20, True), (8, 99, False)]
    )
    def test_an_event_out_of_order_joins_only_where_it_belongs(self, session, time, joins):
        found = cut([0], [time], [session], known=[True], last_ms=[100], present=[7], start_ms=[90])
        assert found.opens.tolist() == [False]
        assert found.joins.tolist() == [joins]
        assert found.last_ms.tolist() == [100]
        assert found.session.tolist() == [7]

    def test_after_a_silence_an_event_without_id_leaves_the_session_id_behind(self):
        found = cut([0, 0], [100, 200], [7, 0])
        assert found.opens.tolist() == [True, True]
        assert found.session.tolist() == [0]


def follow(  # noqa: PLR0917  # columns
    group, item, ordinal, recent, in_session, last_ordinal, distance=2
):
    return follow_touches(
        group=np.array(group, np.int64),
        item=np.array(item, np.uint64),
        ordinal=np.array(ordinal, np.int64),
        recent=np.array(recent, np.uint64),
        in_session=np.array(in_session),
        last_ordinal=np.array(last_ordinal),
        distance=distance,
    )


class TestFollowTouches:
    def test_earlier_touches_come_newest_first_and_only_from_the_session(self):
        trail = follow([0, 0, 0], [5, 6, 7], [0, 0, 1], [[4, 3, 2]], [1], [1])
        assert trail.previous.tolist() == [[4, 0], [5, 4], [0, 0]]
        assert trail.recent.tolist() == [[7, 6, 5]]
        assert trail.touched.tolist() == [1]

    def test_a_return_is_an_item_seen_before_the_last_one(self):
        trail = follow([0, 0, 0], [4, 4, 3], [0, 0, 0], [[4, 3, 0, 0]], [2], [0])
        assert trail.returns.tolist() == [False, False, True]
        trail = follow([0, 0, 0], [5, 4, 9], [0, 0, 0], [[4, 3, 0, 0]], [2], [0])
        assert trail.returns.tolist() == [False, True, False]

    def test_a_user_without_touches_keeps_the_ring(self):
        trail = follow([1], [9], [0], [[4, 3, 0], [0, 0, 0]], [2, 0], [0, 0])
        assert trail.recent.tolist() == [[4, 3, 0], [9, 0, 0]]
        assert trail.touched.tolist() == [0, 1]

    def test_no_touches_change_nothing(self):
        trail = follow([], [], [], [[4, 3, 0]], [2], [0])
        assert trail.previous.shape == (0, 2)
        assert trail.recent.tolist() == [[4, 3, 0]]


class TestPush:
    def test_more_values_than_places_leave_the_newest(self):
        ring = push(np.zeros((1, 3), np.int64), np.zeros(5, np.int64), np.arange(1, 6))
        assert ring.tolist() == [[5, 4, 3]]


class TestStartsOf:
    def test_no_events_have_no_starts(self):
        assert starts_of(np.zeros(0, np.int64)).tolist() == []
