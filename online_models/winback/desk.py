"""The win-back desk of one partition: decides what to do about alerted users, and waits for outcomes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np

from online_models.churn.alerts import ChurnAlert
from online_models.churn.rows import Rows
from online_models.churn.settings import DAY_MS, UserSettings
from online_models.events import Floats, hash_id
from online_models.value.expected import expected_spend
from online_models.winback.bandit import BanditPolicy
from online_models.winback.context import contexts
from online_models.winback.open_decisions import OpenDecisions
from online_models.winback.outcomes import Decision
from online_models.winback.settings import NONE

_WHOLE: Final = float(2**64)


class ActedOn(NamedTuple):
    """Alerts with the actions decided on, and these decisions."""

    alerts: list[ChurnAlert]
    decisions: list[Decision]


class WinbackDesk:
    """Chooses actions under daily budgets, with logged propensities.

    A user is in the holdout or not by a hash of the id, and an action is drawn by a hash of user and time:
    the same log always gives the same decisions.

    Parameters
    ----------
    settings
        Actions, budgets, holdout and horizon.

    Attributes
    ----------
    waiting
        The decisions that wait for their outcome.
    """

    def __init__(self, settings: UserSettings) -> None:
        self.settings = settings.winback
        self._horizon_ms = settings.horizon_ms
        self.waiting = OpenDecisions(settings.horizon_ms, settings.allowed_lateness_ms)
        self._day = 0
        self._spent: Counter[str] = Counter()

    def decide(
        self, subjects: Sequence[str], x: Floats, now_ms: int, policy: BanditPolicy
    ) -> list[Decision | None]:
        """Return a decision for each of n alerted users, None for who waits for an outcome still.

        Parameters
        ----------
        subjects
            The users, in the order in which budgets are spent.
        x
            (n, C) their contexts.
        now_ms
            Time of the decision.
        policy
            What the bandit believes.
        """
        if self._day != now_ms // DAY_MS:
            self._day, self._spent = now_ms // DAY_MS, Counter()
        found: list[Decision | None] = []
        for subject, context in zip(subjects, x, strict=True):
            decision = None if subject in self.waiting else self._decide(subject, context, now_ms, policy)
            if decision is not None:
                self.waiting.open(decision)
                self._spent[decision.action] += 1
            found.append(decision)
        return found

    def act_on(
        self, alerts: Sequence[ChurnAlert], rows: Rows, now_ms: int, policy: BanditPolicy | None
    ) -> ActedOn:
        """Return alerts with the actions decided on, and the decisions; as they are where no actions are set.

        Parameters
        ----------
        alerts, rows
            n alerts in the order in which budgets are spent, and (n,) the users' rows.
        now_ms
            Time of the check.
        policy
            What the bandit believes; None believes nothing.
        """
        if not self.settings.actions or not alerts:
            return ActedOn(list(alerts), [])
        probability = np.array([alert.probability for alert in alerts])
        spend = expected_spend(rows, now_ms, self._horizon_ms)
        x = contexts(rows, probability, spend, now_ms, self._horizon_ms)
        subjects = [alert.subject for alert in alerts]
        decisions = self.decide(subjects, x, now_ms, policy or BanditPolicy())
        acted = [
            replace(alert, action=NONE if decision is None else decision.action)
            for alert, decision in zip(alerts, decisions, strict=True)
        ]
        return ActedOn(acted, [decision for decision in decisions if decision is not None])

    def in_holdout(self, subject: str) -> bool:
        """Return whether a user is never to be treated."""
        return _chance(f"{self.settings.salt}|holdout|{subject}") < self.settings.holdout

    def budget_state(self) -> dict[str, Any]:
        """Return how much of the day's budgets is spent, as plain numbers."""
        return {"day": self._day, "spent": dict(self._spent)}

    def restore_budget(self, state: Mapping[str, Any]) -> None:
        """Take over what `budget_state` returned."""
        self._day = int(state["day"])
        self._spent = Counter({str(name): int(count) for name, count in state["spent"].items()})

    def _decide(self, subject: str, x: Floats, now_ms: int, policy: BanditPolicy) -> Decision:
        holdout = self.in_holdout(subject)
        action, propensity = NONE, 1.0
        if not holdout:
            arms = self._possible()
            costs = np.array([self.settings.cost_of(arm) for arm in arms]) / self.settings.return_value
            shares = policy.propensities(arms, x, self.settings.exploration, costs)
            drawn = _chance(f"{self.settings.salt}|action|{subject}@{now_ms}") * float(shares.sum())
            place = min(int(np.searchsorted(np.cumsum(shares), drawn, side="right")), len(arms) - 1)
            action, propensity = arms[place], float(shares[place])
        return Decision(
            subject=subject,
            at_ms=now_ms,
            action=action,
            holdout=holdout,
            propensity=propensity,
            cost=self.settings.cost_of(action),
            context=tuple(x.tolist()),
            version=policy.version,
        )

    def _possible(self) -> list[str]:
        """Return the arms whose budget for the day is not spent."""
        caps: Iterable[tuple[str, int | None]] = (
            (arm, self.settings.daily_cap(arm)) for arm in self.settings.arms
        )
        return [arm for arm, cap in caps if cap is None or self._spent[arm] < cap]


def _chance(text: str) -> float:
    """Return a number from 0 to 1 that a text always gives and nothing else tells."""
    return hash_id(text) / _WHOLE
