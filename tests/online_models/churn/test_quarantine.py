"""Machines are found among users, the same wherever batches are cut; people are left alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from online_models.churn.labels import ROW_PREFIX
from online_models.churn.profile import UserStore
from online_models.churn.quarantine import HOUR_MS, QUARANTINE_ROW, Quarantine, QuarantineSettings
from online_models.churn.rows import user_dtype
from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import KIND
from tests.online_models.churn.workload import DAY_MS, SMALL, START_MS, Event, batch_of, cut

VIEW, SEARCH, SHOWN = KIND["view_item"], KIND["search"], KIND["recommendation_shown"]
WATCHFUL = QuarantineSettings(hourly_events=500, suspicious_events=300, lasts_ms=2 * HOUR_MS)


def people(rng, users, hours):
    """Return user, kind and time of events of busy people: bursts, and pauses in between."""
    parts = []
    for user in range(users):
        for hour in range(hours):
            count = int(np.clip(rng.lognormal(4.4, 0.3), 62, 140))
            gaps = rng.lognormal(0, 1.5, count)
            time = START_MS + hour * HOUR_MS + gaps.cumsum() / gaps.sum() * rng.uniform(0.3, 0.95) * HOUR_MS
            kind = np.where(rng.random(count) < rng.uniform(0.4, 0.9), VIEW, SEARCH)
            parts.append((np.full(count, user), kind, time.astype(np.int64)))
    return ordered(parts)


def machine(user, hours, *, count=400, first=0):
    """Return the same of a machine that looks at an item every so many seconds, exactly."""
    times = [
        START_MS + h * HOUR_MS + np.arange(count) * (HOUR_MS // count) for h in range(first, first + hours)
    ]
    time = np.concatenate(times)
    return np.full(time.size, user), np.full(time.size, VIEW), time


def ordered(parts):
    user, kind, time = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(time, kind="stable")
    return user[order], kind[order].astype(np.int8), time[order]


def judge(log, size, quarantine=None, rows=None):
    """Apply a log in batches; return which events were muted, the rows and the quarantine."""
    quarantine = Quarantine(WATCHFUL) if quarantine is None else quarantine
    user, kind, time = log
    rows = np.zeros(int(user.max()) + 1, user_dtype(SMALL)) if rows is None else rows
    muted = np.zeros(user.size, np.bool_)
    for start in range(0, user.size, size):
        part = slice(start, start + size)
        numbers, group = np.unique(user[part], return_inverse=True)
        held = rows[numbers]
        muted[part] = quarantine.judge(held, group, kind[part], time[part]).muted
        rows[numbers] = held
    return muted, rows, quarantine


class TestPeopleAndMachines:
    def test_a_machine_is_muted_after_its_first_hour_and_people_never_are(self):
        log = ordered([people(np.random.default_rng(1), 12, 24), machine(12, 6, first=15)])
        muted, _, _ = judge(log, 1_000)
        user, _, time = log
        assert not muted[user < 12].any()
        its = time[user == 12] >= START_MS + 16 * HOUR_MS
        assert muted[user == 12].tolist() == its.tolist()

    def test_it_is_heard_again_when_its_time_is_over(self):
        later = [machine(12, 1, count=9, first=hour) for hour in (16, 20)]
        log = ordered([people(np.random.default_rng(2), 12, 24), machine(12, 1, first=15), *later])
        muted, _, _ = judge(log, 10_000)
        user, _, time = log
        hour = (time[user == 12] - START_MS) // HOUR_MS
        assert muted[user == 12].tolist() == (hour == 16).tolist()

    def test_machines_do_not_become_normal_by_being_many(self):
        crowd = [machine(12 + number, 8, first=15) for number in range(30)]
        log = ordered([people(np.random.default_rng(3), 12, 24), *crowd])
        muted, _, _ = judge(log, 50_000)
        user, _, time = log
        assert muted[(user >= 12) & (time >= START_MS + 16 * HOUR_MS)].all()
        assert not muted[user < 12].any()

    def test_one_user_moves_the_items_by_so_many_events_an_hour_at_most(self):
        log = machine(0, 1, count=700)
        muted, rows, _ = judge((log[0], log[1].astype(np.int8), log[2]), 7)
        assert np.flatnonzero(muted).tolist() == list(range(500, 700))
        assert rows["busy_events"][0] == 700

    def test_what_the_shop_does_is_not_held_against_a_user(self):
        user, kind, time = machine(0, 1, count=700)
        muted, rows, _ = judge((user, np.full(kind.size, SHOWN, np.int8), time), 7)
        assert not muted.any()
        assert rows["busy_events"][0] == 0


logs = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([VIEW, SEARCH, SHOWN]), st.integers(0, 3 * HOUR_MS)),
    min_size=1,
    max_size=60,
)


class TestBatchBoundaries:
    @hypothesis_settings(max_examples=60, deadline=None)
    @given(log=logs)
    def test_short_logs_in_any_order_of_time(self, log):
        user, kind, time = (np.array(column) for column in zip(*log, strict=True))
        log = (user, kind.astype(np.int8), time + START_MS)
        tight = QuarantineSettings(hourly_events=3, suspicious_events=1)
        muted, rows, _ = judge(log, user.size, Quarantine(tight))
        for size in (1, 7):
            again, same, _ = judge(log, size, Quarantine(tight))
            assert again.tolist() == muted.tolist()
            assert same.tobytes() == rows.tobytes()

    def test_a_long_log_with_machines_in_it(self):
        log = ordered(
            [people(np.random.default_rng(4), 8, 20), machine(8, 4, first=15), machine(9, 4, first=14)]
        )
        muted, rows, quarantine = judge(log, log[0].size)
        assert muted.any()
        for size in (7, 997):
            again, same, other = judge(log, size)
            assert again.tolist() == muted.tolist()
            assert same.tobytes() == rows.tobytes()
            assert other.dirty_rows() == quarantine.dirty_rows()
            quarantine._dirty = True


class TestState:
    def test_a_restored_one_goes_on_as_if_nothing_had_happened(self):
        log = ordered([people(np.random.default_rng(5), 8, 20), machine(8, 4, first=15)])
        half = log[0].size // 2
        muted, rows, whole = judge(log, log[0].size)
        first, kept, one = judge([column[:half] for column in log], half, rows=np.zeros(9, user_dtype(SMALL)))
        ((key, value),) = one.dirty_rows()
        assert key == QUARANTINE_ROW
        other = Quarantine(WATCHFUL)
        other.restore(value)
        second, kept, _ = judge([column[half:] for column in log], half, other, kept)
        assert [*first.tolist(), *second.tolist()] == muted.tolist()
        assert kept.tobytes() == rows.tobytes()
        assert other.dirty_rows() == whole.dirty_rows()

    def test_nothing_is_written_unless_something_was_learned(self):
        quarantine = Quarantine(WATCHFUL)
        judge(machine(0, 3, count=10), 7, quarantine)
        assert quarantine.dirty_rows() == []

    def test_a_row_without_a_value_is_refused(self):
        with pytest.raises(CorruptStateError):
            Quarantine(WATCHFUL).restore(None)

    @pytest.mark.parametrize("name", ["hourly_events", "suspicious_events", "lasts_ms"])
    def test_bounds_are_checked(self, name):
        with pytest.raises(InvalidParameterError, match=f"{name} must be at least 1, got 0"):
            QuarantineSettings(**{name: 0})


class TestInTheStore:
    """A poisoned log: whatever a user sends, counts are exact and what others see hardly moves."""

    def log(self):
        return [
            Event("u:flood", time=START_MS + second * 1_000, items=("a", "b")[second % 2 : second % 2 + 1])
            for second in range(40)
        ]

    @pytest.mark.parametrize("size", [1, 7, 40])
    def test_pairs_and_touches_have_a_bound_and_counts_have_none(self, size):
        store = UserStore(replace(SMALL, quarantine=QuarantineSettings(hourly_events=5)))
        effects = [store.apply(batch) for batch in cut(self.log(), size)]
        assert store.lookup("u:flood").event_counts == {"view_item": 40}
        assert sum(batch.touch_item.size for one in effects for batch in one.pairs) == 5
        assert sum(one.muted["burst"] for one in effects) == 35

    def test_what_is_sampled_for_the_ranker_lies_among_the_touches_that_are_passed_on(self):
        flood = [event._replace(time=event.time + 1) for event in self.log()]
        people = [Event(f"u:{n}", time=START_MS + n * 1_500, items=("c", "d")) for n in range(30)]
        log = sorted([*flood, *people], key=lambda event: event.time)
        store = UserStore(replace(SMALL, quarantine=QuarantineSettings(hourly_events=5)))
        effects = store.apply(batch_of(log))
        touched = np.concatenate([batch.hashes[batch.touch_item] for batch in effects.pairs])
        assert touched.size == 5 + 60
        assert len(effects.contexts) > 5
        assert touched[effects.contexts.place].tolist() == effects.contexts.item.tolist()

    def test_a_user_gives_one_label_for_each_landmark_however_much_is_sent(self):
        days = [Event("u:x", time=START_MS + day * DAY_MS, items=("a",)) for day in range(9)]
        flood = [event._replace(time=event.time + second * 1_000) for event in days for second in range(100)]
        end = Event("u:other", time=START_MS + 20 * DAY_MS)
        labels = []
        for log in ([*days, end], [*flood, end]):
            store = UserStore(SMALL)
            labels.append(sum(len(store.apply(batch).examples) for batch in cut(log, 50)))
        assert labels[0] == labels[1] > 0

    def test_a_muted_user_s_landmarks_are_not_kept(self):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:x", items=("a",))]))
        number = store._table.find(["u:x"])
        row = store._table.read(number)
        row["muted_until_ms"] = START_MS + 30 * DAY_MS
        store._table.write(number, row)
        store.apply(batch_of([Event("u:y", time=START_MS + 2 * DAY_MS)]))
        assert not [key for key, _ in store.dirty_rows() if key.startswith(ROW_PREFIX + b"u:x")]

    def test_the_row_of_the_trees_is_part_of_the_state(self):
        store, other = UserStore(SMALL), UserStore(SMALL)
        judge(people(np.random.default_rng(6), 3, 4), 500, store._quarantine)
        rows = store.dirty_rows()
        other.restore(rows)
        other.restored()
        other._quarantine._dirty = True
        assert QUARANTINE_ROW in dict(rows)
        assert dict(other.dirty_rows())[QUARANTINE_ROW] == dict(rows)[QUARANTINE_ROW]
