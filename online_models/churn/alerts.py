"""When to warn of a leaving user, why in words and numbers, and what to do about it.

An alert fires when the probability reaches the threshold (or what is at stake exceeds the cost), at most
once per cooldown, and only for a user who has been active since the last alert. Caps and quiet hours come
after that.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.churn.reasons import Explanation
from online_models.churn.settings import DAY_MS, AlertSettings
from online_models.events import KIND, Floats, Int64s

WithheldReason = Literal["budget", "frequency", "quiet"]
"""Why a user is not alerted who should be: the day's cap, the user's cap, or quiet hours (sent later)."""

_PURCHASE: Final = KIND["purchase"]
_MOST_KEPT: Final = 1_000
"""A larger cap has no bar: all its urgencies would have to be kept."""

Action = Literal["cart_reminder", "service_call", "loyalty_offer", "win_back_message"]
"""What the fixed rule suggests where no actions are set."""


@dataclass(frozen=True, slots=True)
class ChurnAlert:
    """A user who is likely to leave.

    Parameters
    ----------
    subject
        The user, with the prefix ``u:``.
    at_ms
        Time of the check, epoch milliseconds.
    probability, threshold
        Probability of no activity within the horizon, and from where on alerts are sent.
    explanation
        Why, and what a purchase would change.
    action
        What to try: the decision on win-back, else what a fixed rule suggests.
    model_version
        Snapshot behind the probability.
    expected_value
        What is at stake: what the user would spend within the horizon, times the margin, times the
        probability, less the cost of an alert; in the currency of the events.
    """

    subject: str
    at_ms: int
    probability: float
    threshold: float
    explanation: Explanation
    action: str
    model_version: int
    expected_value: float = 0.0


class Choice(NamedTuple):
    """Whom to alert now.

    Parameters
    ----------
    alerted
        Indices of the users to alert, the most urgent first.
    withheld
        How many others should be alerted and are not, by reason.
    """

    alerted: Int64s
    withheld: dict[WithheldReason, int]


class AlertPolicy:
    """Chooses which of the users just scored are alerted, within the daily cap of the partition.

    Parameters
    ----------
    settings
        Rule, threshold, budget, caps, cooldown and quiet hours.

    Attributes
    ----------
    day, sent
        Day (days since the epoch) of the last alert, and alerts sent on it; part of the store's state.
    best, bar
        The largest urgencies of the day, as many as the cap, and the least of them on the day before: checks
        are spread over the day, so without a bar the budget would go to whoever is checked first. For other
        rules than ``risk``; part of the store's state.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self.settings = settings
        self.day = 0
        self.sent = 0
        self.best: list[float] = []
        self.bar = 0.0

    def choose(
        self, rows: npt.NDArray[Any], probability: Floats, gain: Floats, threshold: float, now_ms: int
    ) -> Choice:
        """Return whom to alert, and note it in the rows.

        Parameters
        ----------
        rows
            (n,) the users' rows before this check, in an order that breaks ties; changed in place.
        probability
            (n,) probability of leaving.
        gain
            (n,) what is at stake, see `ChurnAlert.expected_value`.
        threshold
            The trainer's threshold; a fixed one in the settings goes before.
        now_ms
            Time of the check.
        """
        self._begin(now_ms // DAY_MS)
        urgency, wanted, calm = self._judge(probability, gain, threshold)
        rows["calmed"] |= calm & (rows["alert_ms"] > 0)
        wanted &= self._armed(rows, now_ms)
        since_ms = max(now_ms - self.settings.frequency_window_ms, 0)
        tired = (rows["alert_log"] > since_ms).all(axis=1)
        withheld: dict[WithheldReason, int] = {"frequency": int((wanted & tired).sum())}
        ready = np.flatnonzero(wanted & ~tired)
        quiet_until_ms = self.settings.quiet_hours.end_ms(now_ms) if self.settings.quiet_hours else 0
        if quiet_until_ms:
            rows["held_ms"][ready] = quiet_until_ms
            withheld["quiet"] = ready.size
            ready = ready[:0]
        order = ready[np.argsort(-urgency[ready], kind="stable")]
        alerted = self._above_the_bar(order, urgency)
        alerted = alerted[: self._allowance(alerted.size)]
        withheld["budget"] = order.size - alerted.size
        _note(rows, alerted, now_ms)
        return Choice(alerted, {reason: count for reason, count in withheld.items() if count})

    def _judge(
        self, probability: Floats, gain: Floats, learned: float
    ) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return how urgent users are, whether to alert them, and whether the risk has calmed down."""
        settings = self.settings
        if settings.rule != "risk":
            fixed = settings.threshold or 0.0
            return gain, (gain > 0) & (probability >= fixed), probability < fixed - settings.hysteresis
        threshold = self.threshold(learned)
        return probability, probability >= threshold, probability < threshold - settings.hysteresis

    def _armed(self, rows: npt.NDArray[Any], now_ms: int) -> npt.NDArray[np.bool_]:
        alerted = rows["alert_ms"]
        back = (rows["last_ms"] > alerted) & (now_ms - alerted >= self.settings.cooldown_ms)
        if self.settings.hysteresis:
            back &= rows["calmed"]
        return np.asarray((alerted == 0) | back)

    def threshold(self, learned: float) -> float:
        """Return the threshold in force, given the one that the trainer learned."""
        return learned if self.settings.threshold is None else self.settings.threshold

    def _begin(self, day: int) -> None:
        if self.day != day:
            cap = self.settings.daily_cap
            self.bar = self.best[0] if cap and len(self.best) >= cap else 0.0
            self.day, self.sent, self.best = day, 0, []

    def _above_the_bar(self, order: Int64s, urgency: Floats) -> Int64s:
        cap = self.settings.daily_cap
        if self.settings.rule == "risk" or cap is None or cap > _MOST_KEPT:
            return order
        self.best = sorted([*self.best, *urgency[order[:cap]].tolist()])[-cap:] if cap else []
        return order[urgency[order] >= self.bar]

    def _allowance(self, wanted: int) -> int:
        cap = self.settings.daily_cap
        granted = wanted if cap is None else min(wanted, max(cap - self.sent, 0))
        self.sent += granted
        return granted


def _note(rows: npt.NDArray[Any], alerted: Int64s, now_ms: int) -> None:
    log = np.roll(rows["alert_log"][alerted], 1, axis=1)
    log[:, 0] = now_ms
    rows["alert_log"][alerted], rows["alert_ms"][alerted], rows["calmed"][alerted] = log, now_ms, False


def choose_action(row: npt.NDArray[Any]) -> Action:
    """Return the win-back action by a fixed rule, the first that fits.

    1. something is left in the cart: remind of it;
    2. the last rating was 2 or less: let service call;
    3. two purchases or more: an offer for loyal customers;
    4. else a message with fresh recommendations.
    """
    if row["cart_items"] > 0:
        return "cart_reminder"
    if row["ratings"] and row["rating_last"] <= 2:
        return "service_call"
    if row["event_counts"][_PURCHASE] >= 2:
        return "loyalty_offer"
    return "win_back_message"
