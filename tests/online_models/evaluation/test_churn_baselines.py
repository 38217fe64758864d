"""The churn rules know nothing that was not known at the landmark."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.errors import InvalidParameterError
from online_models.evaluation.as_of import AsOf
from online_models.evaluation.churn_baselines import DAY_MS, ActiveDays, BaseRate, BgNbdSilence, Recency


def column(*values, dtype=np.int64):
    return np.array(values, dtype=dtype)


class TestAsOf:
    @given(st.lists(st.integers(0, 20)), st.integers(-1, 21))
    def test_answers_with_the_last_change_strictly_before(self, times, asked):
        value = AsOf(-1)
        for place, time in enumerate(sorted(times)):
            value.set(time, place)
        earlier = [place for place, time in enumerate(sorted(times)) if time < asked]
        assert value.before(asked) == (earlier[-1] if earlier else -1)

    @given(st.lists(st.integers(0, 20)), st.integers(-1, 21), st.integers(0, 5))
    def test_forgetting_leaves_later_questions_alone(self, times, kept_from, later):
        value = AsOf(-1)
        for place, time in enumerate(sorted(times)):
            value.set(time, place)
        expected = value.before(kept_from + later)
        value.forget_before(kept_from)
        assert value.before(kept_from + later) == expected

    def test_time_does_not_go_back(self):
        value = AsOf(0)
        value.set(5, 1)
        with pytest.raises(InvalidParameterError, match="time must be at least 5, got 4"):
            value.set(4, 2)


class TestActiveDays:
    @given(st.lists(st.integers(0, 10 * 24), min_size=1, max_size=30), st.integers(0, 12 * 24))
    def test_histories_count_days_up_to_the_moment_and_no_further(self, hours, asked):
        days = ActiveDays()
        for hour in hours:
            days.add(1, hour * DAY_MS // 24)
        seen = sorted(hour for hour in hours if hour <= asked)
        if not seen:
            return
        found = days.histories([1], [asked * DAY_MS // 24])
        active = {hour // 24 for hour in seen}
        assert found.frequency.tolist() == [len(active) - 1]
        assert found.recency.tolist() == [max(active) - min(active)]
        assert found.age.tolist() == [asked // 24 - min(active)]
        assert days.last_until(1, asked * DAY_MS // 24) == seen[-1] * DAY_MS // 24

    def test_everyone_leaves_out_who_is_not_there_yet(self):
        days = ActiveDays()
        days.add(1, 0)
        days.add(2, 9 * DAY_MS)
        assert len(days) == 2
        assert days.everyone(5 * DAY_MS).age.tolist() == [5]


class TestNothingFromTheFuture:
    def test_base_rate_uses_labels_known_before_the_landmark(self):
        rule = BaseRate()
        users, landmarks = column(1, 2, dtype=np.uint64), column(0, 0)
        rule.learn(users, landmarks, column(0, 0), now_ms=10)
        rule.learn(users, landmarks, column(1, 1), now_ms=20)
        assert rule.predict(users, column(20, 21)).tolist() == [0.5 / 3, 2.5 / 5]

    @pytest.mark.parametrize("rule", [Recency, lambda days: BgNbdSilence(days, 10 * DAY_MS)])
    def test_later_activity_and_labels_do_not_change_an_earlier_answer(self, rule):
        days = ActiveDays()
        for user in range(1, 30):
            for day in range(0, 30, user):
                days.add(user, day * DAY_MS)
        users, landmarks = column(3, 9, dtype=np.uint64), column(29 * DAY_MS, 30 * DAY_MS)
        one = rule(days)
        one.learn(users, landmarks - 20 * DAY_MS, column(0, 1), now_ms=25 * DAY_MS)
        before = one.predict(users, landmarks)
        for user in (3, 9):
            days.add(user, 30 * DAY_MS + 1)
        one.learn(users, landmarks, column(1, 1), now_ms=40 * DAY_MS)
        assert one.predict(users, landmarks).tolist() == before.tolist()


class TestRules:
    def test_recency_learns_that_the_quiet_leave(self):
        days = ActiveDays()
        rule = Recency(days)
        days.add(1, 0)
        days.add(2, 9 * DAY_MS)
        users, landmarks = column(1, 2, dtype=np.uint64), column(10 * DAY_MS, 10 * DAY_MS)
        for step in range(100):
            rule.learn(users, landmarks, column(1, 0), now_ms=11 * DAY_MS + step)
        days.add(2, 11 * DAY_MS)
        gone, staying = rule.predict(users, column(12 * DAY_MS, 12 * DAY_MS))
        assert gone - staying > 0.1

    def test_bgnbd_fears_for_the_regular_customer_gone_quiet(self):
        days = ActiveDays()
        for user in range(20):
            days.add(user, 0)
        for day in range(0, 200, 4):
            days.add(100, day * DAY_MS)
            if day < 100:
                days.add(101, day * DAY_MS)
        rule = BgNbdSilence(days, 14 * DAY_MS)
        staying, quiet = rule.predict(column(100, 101, dtype=np.uint64), column(200 * DAY_MS, 200 * DAY_MS))
        assert staying < 0.2
        assert quiet > 0.8
