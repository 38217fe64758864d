"""Win-back in the simulated shop: what users do depends on what is decided, and the truth is known."""

import numpy as np
import pytest

from online_models.pipeline import Pipeline
from streams.settings import load
from streams.sources.simulator import Shop, ShopConfig
from streams.sources.simulator.closed_loop import ClosedLoop, as_document
from streams.sources.simulator.population import user_number
from streams.sources.simulator.responses import ACTIONS, Attempt
from streams.sources.simulator.truth import DELIVERY
from streams.store_settings import pipeline_settings

DAY_MS = 86_400_000
CONFIG = ShopConfig(users=300, items=160, days=34, visitors_per_day=0, bad_delivery=0.3)


def played(action=None, day=15):
    """Return what users do after a day on which those whom deliveries drove away were treated."""
    shop, later, responses = Shop(CONFIG), {}, []
    for number, events in enumerate(shop.days()):
        for event in events:
            if number > day and event["event_name"] != "refund":
                later.setdefault(user_number(event["user_id"]), []).append(event["event_time"])
        if number == day:
            rows = shop._population.rows
            gone = np.flatnonzero(rows["reason"] == DELIVERY).tolist()
            now = CONFIG.start_ms + (day + 1) * DAY_MS
            responses = shop.win_back([Attempt(user, action or "none", now) for user in gone], 14 * DAY_MS)
    return gone, responses, later


class TestResponses:
    def test_calls_bring_back_whom_a_delivery_drove_away_with_the_chance_that_is_told(self):
        gone, responses, later = played("service_call")
        away = [user for user, one in zip(gone, responses, strict=True) if not one.anyway]
        assert len(away) > 10
        chances = {tuple(one.chances) for one in responses}
        assert chances == {(0.0, 0.05, 0.04, 0.7)}
        assert sum(user in later for user in away) / len(away) == pytest.approx(0.7, abs=0.25)

    def test_who_is_left_alone_does_what_was_foretold(self):
        gone, responses, later = played("none")
        for user, one in zip(gone, responses, strict=True):
            until = CONFIG.start_ms + (16 + 14) * DAY_MS
            assert one.anyway == any(at <= until for at in later.get(user, ()))
            assert one.rates[ACTIONS.index("none")] == one.anyway

    def test_a_shop_without_attempts_has_the_events_it_always_had(self):
        shop = Shop(CONFIG)
        by_day = [event for events in shop.days() for event in events]
        assert by_day == list(Shop(CONFIG).events())


def test_a_loop_reports_estimates_beside_the_truth():
    """That the estimates are good takes thousands of decisions: docs/models.md has such a run."""
    settings = load(
        None,
        environ={},
        horizon="5d",
        landmark_interval="1d",
        tick="12h",
        alert_budget=30,
        min_labels=10,
        winback_holdout=0.3,
        winback_actions=("coupon:2", "push", "service_call:4"),
    )
    loop = ClosedLoop(
        ShopConfig(users=120, items=160, days=26, visitors_per_day=0), Pipeline(pipeline_settings(settings))
    )
    made = list(loop.days())[-1]
    document = as_document(loop.report())
    assert document["decisions"] == made > 30
    assert set(document["true_uplift"]) == set(ACTIONS)
    assert document["true_uplift"]["none"] == 0
    assert all(0 < document["true_uplift"][name] < 0.6 for name in ACTIONS[1:])
    assert document["uniform"] < document["best"]
    assert document["estimated"]["holdout"]["cases"] > 2
