"""The simulated shop: order, determinism, truth, and that there is something to learn from it."""

from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.events import EVENT_NAMES
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.sources.breakage import BREAKERS, with_broken
from streams.sources.record import record_of
from streams.sources.simulator import Shop, ShopConfig, simulate

SMALL = ShopConfig(users=400, items=400, categories=10, days=40)
SILENT = {"refund"}


@pytest.fixture(scope="module")
def shop():
    shop = Shop(SMALL)
    shop.log = list(shop.events())
    return shop


class TestEvents:
    def test_come_in_time_order_within_the_days(self, shop):
        times = [event["event_time"] for event in shop.log]
        assert times == sorted(times)
        assert SMALL.start_ms <= times[0]
        assert times[-1] < SMALL.start_ms + 40 * 86_400_000

    def test_have_distinct_ids(self, shop):
        assert len({event["event_id"] for event in shop.log}) == len(shop.log)

    def test_are_all_accepted_by_the_worker(self, shop):
        records = [
            Record(offset, record.time_ms + 1, record.key, record.value)
            for offset, record in enumerate(map(record_of, shop.log))
        ]
        decoded = Decoder().decode(records)
        assert decoded.rejects == []
        assert len(decoded.events) == len(shop.log)

    def test_hold_every_kind_that_shoppers_and_the_shop_cause(self, shop):
        names = {event["event_name"] for event in shop.log}
        unseen = {"intervention_sent", "intervention_opened", "intervention_redeemed"}
        assert set(EVENT_NAMES) - names == unseen | {"recommendation_shown", "user_erased", "other"}
        assert "page_view" in names

    def test_are_the_same_for_the_same_seed_and_others_for_another(self, shop):
        assert list(islice(simulate(SMALL), 5000)) == shop.log[:5000]
        assert list(islice(simulate(replace(SMALL, seed=2)), 5000)) != shop.log[:5000]

    def test_do_not_depend_on_the_length_of_the_run(self, shop):
        assert list(islice(simulate(replace(SMALL, days=None)), len(shop.log))) == shop.log

    def test_funnel_narrows_from_view_to_purchase(self, shop):
        counts = Counter(event["event_name"] for event in shop.log)
        assert counts["view_item"] > 5 * counts["add_to_cart"] > 5 * counts["purchase"] > 0
        assert counts["begin_checkout"] >= counts["add_payment_info"] >= counts["purchase"]

    def test_a_refund_returns_what_was_bought(self, shop):
        bought = {
            (event.get("user_id"), event["value"]): event["items"]
            for event in shop.log
            if event["event_name"] == "purchase"
        }
        refunds = [event for event in shop.log if event["event_name"] == "refund"]
        assert refunds
        for event in refunds:
            assert bought[event.get("user_id"), event["value"]] == event["items"]


class TestTruth:
    def test_who_has_left_is_last_seen_when_the_truth_says(self, shop):
        last = {
            event["user_id"]: event["event_time"]
            for event in shop.log
            if "user_id" in event and event["event_name"] not in SILENT
        }
        left = [user for user in shop.truth() if user.left_ms is not None]
        assert {user.reason for user in left} == {"bored", "price", "delivery"}
        for user in left:
            assert last[user.user_id] == user.left_ms

    def test_who_stays_has_neither_time_nor_reason(self, shop):
        staying = [user for user in shop.truth() if user.left_ms is None]
        assert len(staying) > 100
        assert {user.reason for user in staying} == {""}

    def test_knows_nothing_of_what_comes_after_the_asked_moment(self, shop):
        until = SMALL.start_ms + 20 * 86_400_000
        for user in shop.truth(until):
            assert user.left_ms is None or user.left_ms < until
            assert user.arrived_ms < until

    def test_users_arrive_during_the_run(self, shop):
        assert len(shop.truth()) > SMALL.users

    def test_interest_is_lost_twice_as_easily_after_the_regime_change(self):
        calm = replace(SMALL, users=1500, bad_delivery=0.0, price_hike_days=1000, days=60)
        left = sum(user.left_ms is not None for user in _played(calm).truth())
        changed = sum(user.left_ms is not None for user in _played(replace(calm, regime_day=10)).truth())
        assert changed > 1.3 * left


class TestAffinity:
    def test_the_next_item_is_far_likelier_a_relative_than_popularity_explains(self, shop):
        followers = _followers(shop.log)
        hits = total = 0
        for source, counts in followers.items():
            if sum(counts.values()) >= 20:
                total += 1
                hits += counts.most_common(1)[0][1] / sum(counts.values()) > 0.1
            assert source
        assert total > 50
        assert hits > 0.9 * total

    def test_the_regime_change_moves_what_goes_together(self):
        config = replace(SMALL, users=1000, regime_day=20)
        half = config.start_ms + 20 * 86_400_000
        log = list(simulate(config))
        across = [
            _across_categories([event for event in log if (event["event_time"] < half) is early])
            for early in (True, False)
        ]
        tops = [{pair for pair, _ in counts.most_common(100)} for counts in across]
        assert len(tops[0] & tops[1]) < 20


class TestConfig:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("users", -1), ("items", 10), ("boredom", 1.0), ("gap_days", 0.0), ("days", -1), ("seed", -1)],
    )
    def test_names_the_parameter_and_its_value(self, name, value):
        with pytest.raises(InvalidParameterError, match=f"{name} must .* not {value}"):
            ShopConfig(**{name: value})

    def test_a_shop_without_users_has_visitors_only(self):
        config = ShopConfig(users=0, days=3, visitors_per_day=20)
        assert {"user_id" in event for event in simulate(config)} == {False}


class TestBrokenEvents:
    def test_are_rejected_for_the_reason_they_were_broken_for(self, shop):
        event = next(event for event in shop.log if "user_id" in event)
        for reason, broken in BREAKERS.items():
            raw = broken(event)
            [(_, reject)] = Decoder().decode([Record(0, event["event_time"], None, raw)]).rejects
            assert reject.reason == reason

    def test_are_the_asked_share_and_leave_every_whole_event_in_place(self, shop):
        mixed = list(with_broken(shop.log, 0.1, seed=3))
        assert [event for event in mixed if isinstance(event, dict)] == shop.log
        broken = len(mixed) - len(shop.log)
        assert broken == pytest.approx(0.1 * len(mixed), abs=1)

    def test_a_share_of_one_is_refused(self):
        with pytest.raises(InvalidParameterError, match="share"):
            next(with_broken([{}], 1.0, seed=1))


def _played(config: ShopConfig) -> Shop:
    shop = Shop(config)
    for _ in shop.events():
        pass
    return shop


def _views(log):
    sessions: dict[str, list[dict]] = {}
    for event in log:
        if event["event_name"] == "view_item":
            sessions.setdefault(event["session_id"], []).append(event["items"][0])
    return sessions.values()


def _followers(log) -> dict[str, Counter]:
    followers: dict[str, Counter] = {}
    for views in _views(log):
        for one, other in pairwise(views):
            followers.setdefault(one["item_id"], Counter())[other["item_id"]] += 1
    return followers


def _across_categories(log) -> Counter:
    counts: Counter = Counter()
    for views in _views(log):
        for one, other in pairwise(views):
            if one["item_category"] != other["item_category"]:
                counts[one["item_id"], other["item_id"]] += 1
    return counts


def test_personal_gaps_differ_between_users(shop):
    gaps = np.array([user.gap_days for user in shop.truth()])
    assert np.quantile(gaps, 0.9) > 3 * np.quantile(gaps, 0.1)
