from dataclasses import replace

import numpy as np
import pytest

from online_models.churn.profile import UserStore
from online_models.churn.settings import DAY_MS, HOUR_MS, AlertSettings
from online_models.errors import InvalidParameterError
from online_models.winback.bandit import BanditPolicy
from online_models.winback.context import CONTEXT_NAMES, contexts
from online_models.winback.desk import WinbackDesk
from online_models.winback.outcomes import OutcomeBatch
from online_models.winback.settings import ActionSettings, WinbackSettings
from tests.online_models.churn.test_alerts import NOW, rows
from tests.online_models.churn.workload import SMALL, START_MS, Event, batch_of, scorer_of

ACTIONS = (ActionSettings("coupon", 5.0, 3), ActionSettings("push"))
OPEN = replace(
    SMALL,
    alerts=AlertSettings(threshold=0.5, daily_budget=99, cooldown_ms=0, frequency_cap=16),
    winback=WinbackSettings(ACTIONS, holdout=0.0),
)
DECIDED = START_MS + DAY_MS


def desk_of(**options):
    return WinbackDesk(replace(SMALL, winback=WinbackSettings(ACTIONS, **options)))


def decided(desk, names, now_ms=NOW, policy=None):
    x = np.full((len(names), len(CONTEXT_NAMES)), 0.5)
    return desk.decide(names, x, now_ms, policy or BanditPolicy())


class TestDecisions:
    def test_the_share_of_the_holdout_is_what_was_asked_for_and_always_the_same_users(self):
        names = [f"u:{number}" for number in range(4000)]
        found = decided(desk_of(holdout=0.2), names)
        held = {one.subject for one in found if one.holdout}
        assert len(held) / 4000 == pytest.approx(0.2, abs=0.02)
        assert all((one.action, one.propensity) == ("none", 1.0) for one in found if one.holdout)
        again = decided(desk_of(holdout=0.2), names, NOW + 99 * DAY_MS)
        assert {one.subject for one in again if one.holdout} == held
        other = decided(desk_of(holdout=0.2, salt="b"), names)
        assert 0.1 < len(held & {one.subject for one in other if one.holdout}) / len(held) < 0.3

    def test_actions_are_drawn_with_the_propensities_that_are_logged(self):
        names = [f"u:{number}" for number in range(3000)]
        desk = WinbackDesk(replace(SMALL, winback=WinbackSettings((ActionSettings("push"),), holdout=0.0)))
        size = len(CONTEXT_NAMES)
        means = {"push": np.full(size, 0.05), "none": np.zeros(size)}
        policy = BanditPolicy(1, means, dict.fromkeys(means, np.eye(size) / 100))
        found = decided(desk, names, policy=policy)
        [share] = {one.propensity for one in found if one.action == "push"}
        assert 0.6 < share < 0.99
        assert sum(one.action == "push" for one in found) / 3000 == pytest.approx(share, abs=0.02)

    def test_an_action_whose_budget_is_spent_is_possible_again_the_next_day(self):
        desk = desk_of(holdout=0.0)
        found = decided(desk, [f"u:{number}" for number in range(60)])
        assert sum(one.action == "coupon" for one in found) == 3
        assert {one.propensity for one in found} == {1 / 3, 1 / 2}
        later = decided(desk, [f"u:{number}" for number in range(100, 160)], NOW + DAY_MS)
        assert sum(one.action == "coupon" for one in later) == 3

    def test_budgets_are_split_over_partitions(self):
        assert WinbackSettings(ACTIONS, partitions=2).daily_cap("coupon") == 2
        assert WinbackSettings(ACTIONS).daily_cap("push") is None

    def test_contexts_are_bounded_whatever_a_user_does(self):
        users = rows(2, spend=1e9, cart_items=(3, -1), ratings=(1, 0), rating_last=(1.0, 0.0))
        found = contexts(users, np.array([0.0, 1.0]), np.array([0.0, 1e12]), NOW, DAY_MS)
        assert ((found >= 0) & (found <= 1)).all()
        assert found[:, CONTEXT_NAMES.index("cart_left")].tolist() == [1, 0]
        assert found[:, CONTEXT_NAMES.index("unhappy")].tolist() == [1, 0]


class TestOutcomes:
    """A user is alerted, something is decided, and exactly a horizon later it is known what came of it."""

    def decided(self):
        store = UserStore(OPEN)
        store.apply(batch_of([Event("u:ann")]))
        effects = store.tick(DECIDED + 12 * HOUR_MS, scorer_of())
        [decision] = effects.decisions
        assert effects.alerts[0].action == decision.action
        return store, decision

    def outcome(self, store, decision):
        due = decision.at_ms + OPEN.horizon_ms + OPEN.allowed_lateness_ms
        assert store.tick(due).outcomes == []
        [outcome] = store.tick(due + HOUR_MS + 1).outcomes
        assert outcome.decision == decision
        assert outcome.matured_ms == due
        return outcome

    def test_silence_is_an_outcome_too(self):
        found = self.outcome(*self.decided())
        assert (found.back_ms, found.spend, found.opened_ms, found.redeemed_ms) == (0, 0.0, 0, 0)

    def test_a_return_within_the_horizon_counts_with_what_was_spent(self):
        store, decision = self.decided()
        back = decision.at_ms + DAY_MS
        times = (back, back + HOUR_MS)
        store.apply(batch_of([Event("u:ann", "purchase", time, value=30.0) for time in times], 9))
        found = self.outcome(store, decision)
        assert (found.back_ms, found.spend) == (back, 60.0)
        assert OutcomeBatch.of([found]).returned.tolist() == [1]

    def test_opening_and_redeeming_what_was_sent_is_no_return(self):
        store, decision = self.decided()
        times = [decision.at_ms + DAY_MS, decision.at_ms + DAY_MS + HOUR_MS]
        kinds = ("intervention_opened", "intervention_redeemed")
        events = [Event("u:ann", kind, time) for kind, time in zip(kinds, times, strict=True)]
        store.apply(batch_of(events, 9))
        found = self.outcome(store, decision)
        assert [found.opened_ms, found.redeemed_ms] == times
        assert found.back_ms == 0

    def test_a_return_after_the_horizon_is_none(self):
        store, decision = self.decided()
        store.apply(batch_of([Event("u:ann", time=decision.at_ms + OPEN.horizon_ms + 1)], 9))
        found = [one for at in (2, 4) for one in store.tick(decision.at_ms + at * DAY_MS).outcomes]
        assert [one.back_ms for one in found] == [0]

    def test_nothing_new_is_decided_while_an_outcome_is_waited_for(self):
        store, decision = self.decided()
        store.apply(batch_of([Event("u:ann", time=decision.at_ms + HOUR_MS)], 9))
        effects = store.tick(decision.at_ms + 2 * DAY_MS, scorer_of())
        assert effects.decisions == []
        assert {alert.action for alert in effects.alerts} == {"none"}

    def test_an_erased_user_s_decision_is_forgotten(self):
        store, decision = self.decided()
        store.dirty_rows()
        store.apply(batch_of([Event("u:ann", "user_erased", decision.at_ms + HOUR_MS)], 9))
        assert (b"\0decisions:u:ann", None) in store.dirty_rows()
        assert store.tick(decision.at_ms + 9 * DAY_MS).outcomes == []

    def test_of_an_evicted_user_the_outcome_stays_unknown_and_is_counted(self):
        store = UserStore(replace(OPEN, max_users=1))
        store.apply(batch_of([Event("u:ann")]))
        [decision] = store.tick(DECIDED + 12 * HOUR_MS, scorer_of()).decisions
        labels = len(store.lookup("u:ann").pending_labels)
        later = decision.at_ms + 3 * HOUR_MS
        store.apply(batch_of([Event(name, time=later) for name in ("u:bob", "u:eve")], 9))
        effects = store.tick(later + 2 * HOUR_MS)
        assert {one.subject for one in effects.forgotten} >= {"u:ann"}
        assert effects.cut_off == {"labels": labels, "decisions": 1}
        assert store.tick(decision.at_ms + 9 * DAY_MS).outcomes == []

    def test_without_actions_the_rule_s_hint_stays_and_nothing_is_decided(self):
        store = UserStore(replace(OPEN, winback=WinbackSettings()))
        store.apply(batch_of([Event("u:ann")]))
        effects = store.tick(DECIDED + 12 * HOUR_MS, scorer_of())
        assert effects.alerts[0].action == "win_back_message"
        assert effects.decisions == []


class TestSettings:
    @pytest.mark.parametrize("text", ["", "a b:", "none", "coupon:-1", "coupon:5:2.5", "a:1:2:3", "x" * 33])
    def test_an_action_that_is_none_is_named(self, text):
        with pytest.raises(InvalidParameterError, match="got "):
            ActionSettings.parse(text)

    @pytest.mark.parametrize(
        "wrong",
        [{"holdout": 1.0}, {"exploration": 0.0}, {"return_value": 0.0}, {"partitions": 0}],
    )
    def test_a_wrong_setting_is_named_with_its_value(self, wrong):
        [(name, value)] = wrong.items()
        with pytest.raises(InvalidParameterError, match=f"{name} .* got {value}"):
            WinbackSettings(ACTIONS, **wrong)

    def test_actions_have_names_of_their_own(self):
        with pytest.raises(InvalidParameterError, match="different names"):
            WinbackSettings((ActionSettings("a"), ActionSettings("a")))
