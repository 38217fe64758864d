"""Stages, segments and the board, each against a plain count over the log."""

from dataclasses import replace

import numpy as np
import pytest

from online_models.churn.profile import UserStore
from online_models.churn.settings import DAY_MS, HOUR_MS
from online_models.errors import InvalidParameterError
from online_models.events import KIND
from online_models.value.lifecycle import STAGES, stages
from online_models.value.retention import WEEK_MS, combined
from online_models.value.segments import SEGMENTS, rfm
from tests.online_models.churn.test_alerts import NOW, rows
from tests.online_models.churn.workload import SMALL, START_MS, Event, batch_of, cut

LOOKED = replace(SMALL, daily_look=True, horizon_ms=5 * DAY_MS, state_ttl_ms=400 * DAY_MS)


def stage_of(**fields):
    user = rows(1, first_ms=NOW - 90 * DAY_MS, **fields)
    return STAGES[int(stages(user, NOW, 28 * DAY_MS, 0.5)[0])]


def visits(seed=3, users=40, days=60):
    """Return logins at random hours, users of whom some fall silent for good and some for a while."""
    rng, events = np.random.default_rng(seed), []
    for number in range(users):
        day = float(rng.uniform(0, 20))
        while day < days:
            name = f"a:{number}" if number % 9 == 8 else f"u:{number}"
            events.append(Event(name, "login", START_MS + int(day * DAY_MS)))
            day += float(rng.exponential(3.0)) + (20 if rng.random() < 0.05 else 0)
            if rng.random() < 0.05:
                break
    return sorted(events, key=lambda event: event.time)


def boards_of(events, size=1_000):
    store = UserStore(LOOKED)
    boards = [board for batch in cut(events, size) for board in store.apply(batch).boards]
    return store, boards


class TestStages:
    def test_the_first_that_fits(self):
        day = DAY_MS
        assert stage_of(last_ms=NOW - 28 * day) == "lapsed"
        assert stage_of(last_ms=NOW - day, score=0.5, score_ms=NOW) == "at_risk"
        assert stage_of(last_ms=NOW - day, score=0.5, score_ms=NOW - 2 * day) == "active"
        assert stage_of(last_ms=NOW - day, won_ms=NOW - 3 * day) == "won_back"
        assert stage_of(last_ms=NOW - day, won_ms=NOW - 30 * day) == "active"
        assert STAGES[int(stages(rows(1), NOW, 28 * day, 0.5)[0])] == "new"

    def test_a_return_after_a_horizon_of_silence_is_noted(self):
        store = UserStore(LOOKED)
        back = START_MS + 5 * DAY_MS
        store.apply(batch_of([Event("u:ann"), Event("u:bob"), Event("u:bob", time=back - 1)]))
        store.apply(batch_of([Event("u:ann", time=back)], 9))
        won = {
            store._table.key_of(n): int(won_ms)
            for n, won_ms in enumerate(store._table.read(np.arange(2))["won_ms"])
        }
        assert won == {"u:ann": back, "u:bob": 0}


class TestSegments:
    def users(self):
        users = rows(11, purchase_ms=NOW - np.arange(11) * DAY_MS, spend=100.0)
        users["event_counts"][:, KIND["purchase"]] = [9, 1, 2, 3, 3, 9, 1, 1, 1, 9, 0]
        users["purchase_ms"][10] = 0
        return users

    def test_scores_are_fifths_of_the_buyers_and_equal_customers_have_equal_scores(self):
        found = rfm(self.users())
        assert found.recency.tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0]
        assert len({*found.monetary.tolist()[:10]}) == 1
        assert found.frequency[[1, 6, 7, 8]].tolist() == [1, 1, 1, 1]
        assert found.frequency[[0, 5, 9]].tolist() == [5, 5, 5] or found.frequency[0] >= 4

    def test_every_kind_of_buyer_has_a_name(self):
        names = [SEGMENTS[code] for code in rfm(self.users()).segment]
        assert names[:3] == ["champion", "new_buyer", "promising"]
        assert names[5:] == ["loyal", "slipping", "slipping", "hibernating", "cannot_lose", "browser"]

    def test_a_shop_without_buyers_has_browsers_only(self):
        assert {SEGMENTS[code] for code in rfm(rows(3)).segment} == {"browser"}


class TestBoard:
    def test_everything_is_what_a_plain_count_over_the_log_gives(self):
        events = visits()
        _, boards = boards_of(events)
        assert [board.at_ms for board in boards] == [START_MS + n * DAY_MS for n in range(1, len(boards) + 1)]
        assert len(boards) > 50
        for board in boards:
            now = board.at_ms
            seen = [e for e in events if e.time <= now and e.subject.startswith("u:")]
            last = {event.subject: event.time for event in seen}
            first = {event.subject: event.time for event in reversed(seen)}
            quiet = {name: now - time for name, time in last.items()}
            assert board.users == len(last)
            assert board.daily == sum(q < DAY_MS for q in quiet.values())
            assert board.weekly == sum(q < WEEK_MS for q in quiet.values())
            assert board.monthly == sum(q < 30 * DAY_MS for q in quiet.values())
            assert board.fresh == sum(now - time < DAY_MS for time in first.values())
            lapsed = sum(q >= LOOKED.horizon_ms for q in quiet.values())
            assert board.stages["lapsed"] == lapsed
            assert board.churned == sum(0 <= q - LOOKED.horizon_ms < DAY_MS for q in quiet.values())
            assert board.at_stake == board.churned + board.users - lapsed
            assert sum(board.stages.values()) == sum(board.segments.values()) == board.users
            assert sum(cohort.size for cohort in board.cohorts) == board.users
            for cohort in board.cohorts:
                members = [n for n, t in first.items() if 0 <= t - cohort.week_ms < WEEK_MS]
                assert cohort.size == len(members)
                assert cohort.active == sum(quiet[name] < WEEK_MS for name in members)
        assert 0 < boards[30].stickiness < 1
        assert max(board.churn_rate for board in boards) > 0

    @pytest.mark.parametrize("size", [1, 7])
    def test_boards_do_not_depend_on_where_batches_are_cut(self, size):
        events = visits(users=12)
        assert boards_of(events, size)[1] == boards_of(events)[1]

    def test_the_boards_of_partitions_add_up_to_that_of_the_shop(self):
        events = visits()
        parts = [[e for e in events if int(e.subject[2:]) % 3 == n] for n in range(3)]
        last = max(event.time for event in events) + DAY_MS
        whole, *shares = [UserStore(LOOKED) for _ in range(4)]
        found = []
        for store, log in zip((whole, *shares), (events, *parts), strict=True):
            boards = [board for batch in cut(log, 500) for board in store.apply(batch).boards]
            found.append([*boards, *store.tick(last).boards][-1])
        joined = combined(found[1:])
        assert replace(joined, segments={}, expected_value=0) == replace(
            found[0], segments={}, expected_value=0
        )
        assert joined.expected_value == pytest.approx(found[0].expected_value)

    def test_a_profile_is_told_when_it_changes_and_deleted_with_the_user(self):
        store = UserStore(LOOKED)
        store.apply(batch_of([Event("u:ann", "purchase", value=30.0), Event("a:cookie", "login")]))
        [first] = store.tick(START_MS + DAY_MS + 1).profiles
        assert (first.subject, first.stage, first.segment) == ("u:ann", "new", "hibernating")
        assert (first.purchases, first.spend) == (1, 30.0)
        assert first.expected_value > 0
        assert store.tick(START_MS + 2 * DAY_MS + 1).profiles == []
        later = [store.tick(START_MS + n * DAY_MS + 1) for n in range(3, 8)]
        told = [profile.stage for effects in later for profile in effects.profiles]
        assert told[-1] == "lapsed"
        gone = store.apply(batch_of([Event("u:ann", "user_erased", START_MS + 8 * DAY_MS)], 5)).forgotten
        assert [(one.subject, one.published) for one in gone] == [("u:ann", True)]

    def test_days_without_anybody_have_no_board(self):
        store = UserStore(replace(LOOKED, state_ttl_ms=20 * DAY_MS))
        store.apply(batch_of([Event("u:ann", "login")]))
        boards = store.tick(START_MS + 100 * DAY_MS).boards
        assert 19 <= len(boards) <= 21
        back = START_MS + 100 * DAY_MS + HOUR_MS
        effects = store.apply(
            batch_of([Event("u:ann", "login", back), Event("u:ann", "login", back + DAY_MS)], 5)
        )
        assert [board.at_ms for board in effects.boards] == [START_MS + 101 * DAY_MS]

    def test_a_grid_that_misses_midnight_is_refused(self):
        with pytest.raises(InvalidParameterError, match="tick_ms must be a part of a day"):
            replace(
                LOOKED, tick_ms=7 * HOUR_MS, check_interval_ms=7 * HOUR_MS, landmark_interval_ms=7 * HOUR_MS
            )
