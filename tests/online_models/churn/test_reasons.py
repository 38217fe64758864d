"""Reasons add up to the score, and the counterfactual is what really happens when the user buys."""

import numpy as np
import pytest

from online_models.churn.counterfactual import after_purchase
from online_models.churn.features import FEATURE_NAMES
from online_models.churn.hazard import Roll, RolledHazard
from online_models.churn.profile import UserStore
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import DAY_MS, UserSettings
from tests.online_models.churn.workload import START_MS, Event, batch_of

SETTINGS = UserSettings()
WIDTH = len(FEATURE_NAMES)


def scorer():
    """Return a blend with a hazard, of weights under which a purchase speaks for staying."""
    weights = np.random.default_rng(4).normal(0, 0.02, WIDTH)
    weights[FEATURE_NAMES.index("recency")] = 0.8
    roll = Roll(SETTINGS.horizon_ms, SETTINGS.hazard_step_ms)
    return ChurnScorer(
        7,
        weights,
        -0.4,
        np.full(WIDTH, 0.3),
        0.5,
        ready=True,
        champion="blend",
        rolled=RolledHazard(-weights, -1.0, roll),
        rolled_share=0.4,
    )


def shop(*more):
    store = UserStore(SETTINGS)
    visits = [
        Event("u:ann", kind, START_MS + day * DAY_MS, items=("a",), value=30.0)
        for day, kind in ((0, "view_item"), (2, "purchase"), (5, "view_item"))
    ]
    store.apply(batch_of([*visits, Event("u:bob", "search", START_MS + 12 * DAY_MS), *more]))
    return store


class TestExplanation:
    def test_contributions_of_all_groups_add_up_to_the_log_odds(self):
        model, store = scorer(), shop()
        found = store.explanation("u:ann", model)
        log_odds = np.log(found.probability / (1 - found.probability))
        average = model.log_odds(model.center[None])[0]
        assert sum(found.contributions.values()) + average == pytest.approx(log_odds, abs=1e-9)

    def test_a_purchase_changes_the_probability_to_what_was_announced(self):
        model, store = scorer(), shop()
        announced = store.explanation("u:ann", model)
        now = START_MS + 12 * DAY_MS
        bought = shop(Event("u:ann", "purchase", now, value=30.0))
        assert bought.explanation("u:ann", model).probability == pytest.approx(announced.after_purchase)
        assert announced.after_purchase < announced.probability
        assert announced.counterfactual == f"one purchase would lower it to {announced.after_purchase:.2f}"

    def test_asking_changes_nothing(self):
        store = shop()
        rows = store._table.read(store._table.live_rows())
        before = rows.tobytes()
        after_purchase(rows, START_MS + 12 * DAY_MS, SETTINGS)
        store.explanation("u:ann", scorer())
        assert rows.tobytes() == before == store._table.read(store._table.live_rows()).tobytes()

    def test_an_alert_says_the_same_as_a_lookup(self):
        store, model = shop(), scorer()
        alerts = store.tick(START_MS + 13 * DAY_MS, model).alerts
        found = {alert.subject: alert for alert in alerts}["u:ann"]
        row = store._table.read(store._table.find(["u:ann"]))
        assert found.explanation == store._checker.explain(row, found.at_ms, model)
        assert found.explanation.probability == pytest.approx(found.probability)

    def test_without_a_model_there_is_nothing_to_say(self):
        found = shop().explanation("u:ann", None)
        assert (found.reasons, found.contributions, found.counterfactual) == ((), {}, "")
