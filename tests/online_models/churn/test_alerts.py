from dataclasses import replace

import numpy as np
import pytest

from online_models.churn.alerts import AlertPolicy, choose_action
from online_models.churn.checks import Checker
from online_models.churn.features import FEATURE_NAMES, describe, features
from online_models.churn.profile import UserStore
from online_models.churn.quiet_hours import QuietHours
from online_models.churn.reasons import GROUPS, group_contributions, reasons_for
from online_models.churn.rows import user_dtype
from online_models.churn.settings import DAY_MS, HOUR_MS, AlertSettings, BgNbdSettings, UserSettings
from online_models.errors import InvalidParameterError
from online_models.events import KIND
from online_models.value.expected import expected_spend
from online_models.winback.bandit import BanditPolicy
from online_models.winback.context import CONTEXT_NAMES
from online_models.winback.settings import ActionSettings, WinbackSettings
from tests.online_models.churn.workload import SMALL, START_MS, Event, batch_of, scorer_of

FIXED = AlertSettings(threshold=0.5, daily_budget=2, cooldown_ms=3 * DAY_MS)
NOW = START_MS + 100 * DAY_MS


def rows(count, **fields):
    found = np.zeros(count, user_dtype(SMALL))
    found["last_ms"], found["first_ms"], found["sessions"] = NOW - DAY_MS, NOW - 9 * DAY_MS, 3
    for name, value in fields.items():
        found[name] = value
    return found


def chosen(policy, users, probability, now_ms=NOW, learned=0.9):
    p = np.array(probability)
    return policy.choose(users, p, np.zeros(p.size), learned, now_ms).alerted.tolist()


class TestAlertPolicy:
    def test_the_most_likely_go_first_and_the_cap_holds_for_the_day(self):
        policy = AlertPolicy(FIXED)
        assert chosen(policy, rows(4), [0.6, 0.9, 0.4, 0.7]) == [1, 3]
        assert chosen(policy, rows(1), [0.99]) == []
        assert chosen(policy, rows(1), [0.99], NOW + DAY_MS) == [0]

    def test_a_user_is_armed_again_by_coming_back_once_the_cooldown_is_over(self):
        alerted = rows(1, alert_ms=NOW - 2 * DAY_MS)
        assert chosen(AlertPolicy(FIXED), alerted, [0.9]) == []
        assert chosen(AlertPolicy(FIXED), alerted, [0.9], NOW + DAY_MS) == [0]
        never_back = rows(1, alert_ms=NOW - HOUR_MS)
        assert chosen(AlertPolicy(FIXED), never_back, [0.9], NOW + 30 * DAY_MS) == []

    def test_without_a_fixed_threshold_the_learned_one_counts(self):
        policy = AlertPolicy(AlertSettings(daily_budget=5))
        assert chosen(policy, rows(2), [0.8, 0.95]) == [1]

    def test_who_was_alerted_often_enough_is_left_alone_until_the_window_has_passed(self):
        settings = replace(FIXED, frequency_cap=2, frequency_window_ms=30 * DAY_MS)
        tired = rows(1, alert_ms=NOW - 5 * DAY_MS, alert_log=[(NOW - 5 * DAY_MS, NOW - 20 * DAY_MS, 0)])
        tired = tired.astype(user_dtype(replace(SMALL, alerts=settings)))
        tired["alert_log"] = (NOW - 5 * DAY_MS, NOW - 20 * DAY_MS)
        policy = AlertPolicy(settings)
        assert policy.choose(tired, np.array([0.9]), np.zeros(1), 0.5, NOW).withheld == {"frequency": 1}
        assert chosen(policy, tired, [0.9], NOW + 10 * DAY_MS) == [0]
        assert tired["alert_log"].tolist() == [[NOW + 10 * DAY_MS, NOW - 5 * DAY_MS]]

    def test_with_hysteresis_the_risk_must_have_fallen_in_between(self):
        policy = AlertPolicy(replace(FIXED, hysteresis=0.2))
        back = rows(1, alert_ms=NOW - 20 * DAY_MS)
        assert chosen(policy, back, [0.9]) == []
        assert chosen(policy, back, [0.31]) == []
        assert chosen(policy, back, [0.9]) == []
        assert chosen(policy, back, [0.29]) == []
        assert chosen(policy, back, [0.9]) == [0]
        assert not back["calmed"][0]

    def test_in_quiet_hours_an_alert_is_held_until_they_end_and_costs_no_budget(self):
        policy = AlertPolicy(replace(FIXED, quiet_hours=QuietHours.parse("00:00-08:00", "UTC")))
        users = rows(2)
        choice = policy.choose(users, np.array([0.9, 0.1]), np.zeros(2), 0.5, NOW)
        assert (choice.alerted.size, choice.withheld) == (0, {"quiet": 1})
        assert users["held_ms"].tolist() == [NOW + 8 * HOUR_MS, 0]
        assert chosen(policy, users, [0.9, 0.1], NOW + 8 * HOUR_MS) == [0]

    def test_by_value_goes_first_who_has_most_at_stake_and_nobody_below_the_cost(self):
        policy = AlertPolicy(AlertSettings(rule="value", daily_budget=2))
        p, gain = np.array([0.9, 0.2, 0.5, 0.8]), np.array([1.0, 9.0, -0.5, 2.0])
        choice = policy.choose(rows(4), p, gain, 0.99, NOW)
        assert (choice.alerted.tolist(), choice.withheld) == ([1, 3], {"budget": 1})

    def test_by_value_the_bar_is_what_would_have_filled_the_budget_the_day_before(self):
        """Checks are spread over the day: the budget must not go to whoever is checked first."""
        policy = AlertPolicy(AlertSettings(rule="value", daily_budget=2))
        rng, sent = np.random.default_rng(1), []
        for hour in range(72):
            gain = rng.random(5)
            choice = policy.choose(rows(5), np.ones(5), gain, 0.5, NOW + hour * HOUR_MS)
            sent += [(hour // 24, gain[i]) for i in choice.alerted.tolist()]
        by_day = [[gain for day, gain in sent if day == n] for n in range(3)]
        assert len(by_day[0]) == 2
        assert all(len(day) <= 2 for day in by_day)
        assert min(by_day[1] + by_day[2]) > 0.97
        assert policy.bar > 0.97

    def test_by_effect_goes_first_on_whom_an_action_works_and_until_that_is_known_by_value(self):
        bandit = BanditPolicy(1, {"none": np.zeros(10), "push": np.zeros(10)}, {})
        bandit.means["push"][CONTEXT_NAMES.index("cart_left")] = 0.4
        options = replace(
            SMALL,
            alerts=AlertSettings(rule="effect", daily_budget=1),
            winback=WinbackSettings((ActionSettings("push", 2.0),), return_value=20.0),
        )
        checker, users = Checker(options), rows(2, cart_items=(0, 1), spend=(900.0, 0.0))
        users["decayed"][0] = 50.0
        checked = checker.check(["u:a", "u:b"], users.copy(), NOW, scorer_of(), bandit)
        assert [alert.subject for alert in checked.alerts] == ["u:b"]
        assert checked.alerts[0].expected_value == pytest.approx(0.4 * 20 - 2)
        checked = Checker(options).check(["u:a", "u:b"], users.copy(), NOW, scorer_of(), None)
        assert [alert.subject for alert in checked.alerts] == ["u:a"]

    def test_the_budget_is_split_over_partitions(self):
        assert AlertSettings(daily_budget=10, partitions=4).daily_cap == 3

    @pytest.mark.parametrize(
        "wrong",
        [
            {"threshold": 0.0},
            {"daily_budget": -1},
            {"partitions": 0},
            {"cooldown_ms": -1},
            {"reasons": 0},
            {"hysteresis": 1.5},
            {"cost": -1.0},
            {"margin": 2.0},
            {"frequency_cap": 0},
            {"frequency_window_ms": -1},
        ],
    )
    def test_a_wrong_setting_is_named(self, wrong):
        [(name, value)] = wrong.items()
        with pytest.raises(InvalidParameterError, match=f"{name} .* got {value}"):
            AlertSettings(**wrong)


class TestReasons:
    def test_the_strongest_come_first_and_only_what_speaks_for_leaving(self):
        [row] = rows(1, last_ms=NOW - int(12.3 * DAY_MS), gaps=(6.2, 20.0))
        weight = {"recency": 2.9, "bgnbd": -0.8, "cart_left": 0.5, "tenure": -2.0, "sessions": 1.0}
        groups = group_contributions(np.array([weight.get(name, 0.0) for name in FEATURE_NAMES]))
        found = reasons_for(row, np.zeros(len(FEATURE_NAMES), np.float32), groups, 3, NOW)
        assert [reason.group for reason in found] == ["silence", "cart"]
        assert found[0].text == "quiet 12.3 d, usual gap 3.1 d"
        assert found[0].contribution == pytest.approx(2.1)

    def test_every_feature_is_in_one_group(self):
        assert sorted(name for group in GROUPS.values() for name in group) == sorted(FEATURE_NAMES)

    def test_every_feature_has_words(self):
        users = rows(2, ratings=(0, 2), rating_sum=(0, 7), rating_last=(0, 3), purchase_ms=(0, NOW - DAY_MS))
        users["sessions"][0] = 1
        x = features(users, NOW, SMALL)
        for place in (0, 1):
            texts = [describe(users[place], x[place], i, NOW) for i in range(len(FEATURE_NAMES))]
            assert [name for name, _ in texts] == list(FEATURE_NAMES)
            assert all(text and "nan" not in text for _, text in texts)


class TestAction:
    def test_the_first_rule_that_fits_decides(self):
        counts = np.zeros(len(rows(1)["event_counts"][0]), np.uint32)
        counts[KIND["purchase"]] = 2
        [row] = rows(1, cart_items=1, ratings=1, rating_last=2, event_counts=counts)
        assert choose_action(row) == "cart_reminder"
        row["cart_items"] = -1
        assert choose_action(row) == "service_call"
        row["rating_last"] = 4
        assert choose_action(row) == "loyalty_offer"
        row["event_counts"] = 0
        assert choose_action(row) == "win_back_message"


class TestInTheStore:
    def test_before_a_trained_model_users_are_scored_by_recency_and_nobody_is_alerted(self):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:ann")]))
        effects = store.tick(START_MS + 3 * DAY_MS)
        last = effects.scores[-1]
        assert last.model_version == 0
        assert last.probability == pytest.approx((last.at_ms - START_MS) / SMALL.horizon_ms)
        assert effects.alerts == []

    def test_an_alert_says_who_why_and_what_to_do_and_comes_once(self):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:ann", "add_to_cart", items=("a1",)), Event("u:bob", "search")]))
        alerts = store.tick(START_MS + 3 * DAY_MS, scorer_of()).alerts
        assert len({alert.subject for alert in alerts}) == len(alerts) > 0
        for alert in alerts:
            assert alert.probability >= alert.threshold == 0.5
            assert alert.explanation.reasons
            assert store.lookup(alert.subject).alert_ms == alert.at_ms
            assert alert.action == ("cart_reminder" if alert.subject == "u:ann" else "win_back_message")

    def test_a_held_alert_is_sent_when_quiet_hours_end_unless_the_user_has_come_back(self):
        quiet = QuietHours.parse("00:00-11:30", "UTC")
        store = UserStore(replace(SMALL, alerts=replace(FIXED, daily_budget=99, quiet_hours=quiet)))
        store.apply(batch_of([Event("u:ann"), Event("u:bob")]))
        noon = START_MS + DAY_MS + 12 * HOUR_MS
        effects = store.tick(START_MS + DAY_MS + 11 * HOUR_MS, scorer_of())
        held = effects.withheld["quiet"]
        assert held > 0
        assert all(alert.at_ms % DAY_MS >= 11.5 * HOUR_MS for alert in effects.alerts)
        waiting = {"u:ann", "u:bob"} - {alert.subject for alert in effects.alerts}
        store.apply(
            batch_of([Event(name, time=START_MS + DAY_MS + 11 * HOUR_MS + 60_000) for name in waiting])
        )
        assert store.tick(noon + 1, scorer_of()).alerts == []
        assert store.next_due() > noon

    def test_the_end_of_quiet_hours_is_the_next_tick_after_it(self):
        quiet = QuietHours.parse("00:00-11:30", "UTC")
        store = UserStore(replace(SMALL, alerts=replace(FIXED, daily_budget=99, quiet_hours=quiet)))
        store.apply(batch_of([Event("u:ann")]))
        alerts = store.tick(START_MS + 3 * DAY_MS, scorer_of()).alerts
        assert [alert.at_ms for alert in alerts] in ([START_MS + 12 * HOUR_MS], [START_MS + 36 * HOUR_MS])


class TestExpectedSpend:
    def test_a_steady_customer_is_expected_to_go_on(self):
        store = UserStore(replace(SMALL, state_ttl_ms=999 * DAY_MS))
        times = [START_MS + day * DAY_MS for day in range(0, 361, 10)]
        events = [Event("u:ann", "purchase", time, value=20.0) for time in times]
        store.apply(batch_of(events))
        row = store._table.read(np.arange(1))
        assert expected_spend(row, times[-1] + 5 * DAY_MS, 30 * DAY_MS)[0] == pytest.approx(60.0, rel=0.02)

    def test_one_purchase_of_a_new_customer_is_no_daily_habit_and_fades(self):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:ann", "purchase", value=30.0), Event("u:bob", "search")]))
        row = store._table.read(np.arange(2))
        new, none = expected_spend(row, START_MS, 30 * DAY_MS)
        assert new == pytest.approx(33.6, rel=0.01)
        assert none == 0
        assert expected_spend(row, START_MS + 180 * DAY_MS, 30 * DAY_MS)[0] < 3.5


class TestFeatures:
    def test_counters_fade_with_their_half_life(self):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:ann", "purchase", value=30.0)]))
        row = store._table.read(np.arange(1))
        place = FEATURE_NAMES.index("spend_30d")
        now, later = (np.expm1(features(row, START_MS + d * DAY_MS, SMALL)[0, place]) for d in (0, 30))
        assert now == pytest.approx(30.0, rel=1e-5)
        assert later == pytest.approx(15.0, rel=1e-5)

    def test_long_silence_overflows_nothing(self):
        x = features(rows(1, gaps=(1e9, 1e18), spend=1e300), NOW + 10_000 * DAY_MS, SMALL)
        assert np.isfinite(x).all()
        assert x.dtype == np.float32
        assert x.shape == (1, len(FEATURE_NAMES))


class TestSettings:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"horizon_ms": 0},
            {"session_gap_ms": -1},
            {"recent_items": 0},
            {"dedupe_window_ms": 5},
            {"check_interval_ms": HOUR_MS + 1},
            {"landmark_interval_ms": DAY_MS + HOUR_MS},
            {"hazard_step_ms": 29 * DAY_MS},
            {"pair_distance": 11},
            {"max_users": 0},
            {"dedupe_max_ids": 0},
            # The last landmark lies within four weeks of the last activity, its label five weeks behind it.
            {"state_ttl_ms": (28 + 35) * DAY_MS + HOUR_MS},
        ],
    )
    def test_a_wrong_setting_is_named_with_its_value(self, wrong):
        [(name, value)] = wrong.items()
        with pytest.raises(InvalidParameterError, match=f"{name} .* got {value}"):
            UserSettings(**wrong)

    def test_a_user_may_be_forgotten_as_soon_as_every_label_is_known(self):
        assert UserSettings(state_ttl_ms=(28 + 35) * DAY_MS + HOUR_MS + 1).state_ttl_ms

    def test_parameters_of_bgnbd_are_positive(self):
        with pytest.raises(InvalidParameterError, match=r"alpha_days .* got 0"):
            BgNbdSettings(alpha_days=0)

    def test_four_weeks_and_an_hour_need_five_weekly_slots(self):
        assert UserSettings().landmark_slots == 5
