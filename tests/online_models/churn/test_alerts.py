import numpy as np
import pytest

from online_models.churn.alerts import AlertPolicy, choose_action, reasons_for
from online_models.churn.features import FEATURE_NAMES, describe, features
from online_models.churn.profile import UserStore
from online_models.churn.rows import user_dtype
from online_models.churn.settings import DAY_MS, HOUR_MS, AlertSettings, BgNbdSettings, UserSettings
from online_models.errors import InvalidParameterError
from online_models.events import KIND
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
    return policy.choose(users, np.array(probability), learned, now_ms).tolist()


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
        ],
    )
    def test_a_wrong_setting_is_named(self, wrong):
        [(name, value)] = wrong.items()
        with pytest.raises(InvalidParameterError, match=f"{name} .* got {value}"):
            AlertSettings(**wrong)


class TestReasons:
    def test_the_strongest_come_first_nothing_twice_and_only_what_speaks_for_leaving(self):
        [row] = rows(1, last_ms=NOW - int(12.3 * DAY_MS), gaps=(6.2, 20.0))
        weight = {"recency": 0.9, "bgnbd": 0.8, "cart_left": 0.5, "tenure": -2.0}
        contributions = np.array([weight.get(name, 0.0) for name in FEATURE_NAMES])
        found = reasons_for(row, np.zeros(len(FEATURE_NAMES), np.float32), contributions, 3, NOW)
        assert [reason.feature for reason in found] == ["recency", "cart_left"]
        assert found[0].text == "quiet 12.3 d, usual gap 3.1 d"

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
            assert alert.reasons
            assert store.lookup(alert.subject).alert_ms == alert.at_ms
            assert alert.action == ("cart_reminder" if alert.subject == "u:ann" else "win_back_message")


class TestFeatures:
    def test_counters_fade_with_their_half_life(self):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:ann", "purchase", value=30.0)]))
        row = store._table.rows[:1]
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
