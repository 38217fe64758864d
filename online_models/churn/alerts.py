"""When to warn of a leaving user, why in words and numbers, and what to do about it.

An alert fires when the probability reaches the threshold, at most once per cooldown, and only for a user who
has been active since the last alert.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.churn.features import Features32, describe
from online_models.churn.settings import DAY_MS, AlertSettings
from online_models.events import KIND, Floats, Int64s

_PURCHASE: Final = KIND["purchase"]

Action = Literal["cart_reminder", "service_call", "loyalty_offer", "win_back_message"]


class Reason(NamedTuple):
    """One reason behind a probability.

    Parameters
    ----------
    feature
        Name of the feature.
    contribution
        What it adds to the log-odds of leaving, compared with the average user.
    text
        The same in words and numbers.
    """

    feature: str
    contribution: float
    text: str


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
    reasons
        The strongest first.
    action
        What to try.
    model_version
        Snapshot behind the probability.
    """

    subject: str
    at_ms: int
    probability: float
    threshold: float
    reasons: tuple[Reason, ...]
    action: Action
    model_version: int


class AlertPolicy:
    """Chooses which of the users just scored are alerted, within the daily cap of the partition.

    Parameters
    ----------
    settings
        Threshold, budget and cooldown.

    Attributes
    ----------
    day, sent
        Day (days since the epoch) of the last alert, and alerts sent on it; part of the store's state.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self.settings = settings
        self.day = 0
        self.sent = 0

    def choose(self, rows: npt.NDArray[Any], probability: Floats, threshold: float, now_ms: int) -> Int64s:
        """Return the indices of the users to alert, the most likely to leave first.

        Parameters
        ----------
        rows
            (n,) the users' rows before this check, in an order that breaks ties.
        probability
            (n,) probability of leaving.
        threshold
            The trainer's threshold; a fixed one in the settings goes before.
        now_ms
            Time of the check.
        """
        threshold = self.threshold(threshold)
        alerted = rows["alert_ms"]
        armed = (alerted == 0) | (
            (rows["last_ms"] > alerted) & (now_ms - alerted >= self.settings.cooldown_ms)
        )
        chosen = np.flatnonzero(armed & (probability >= threshold))
        order = chosen[np.argsort(-probability[chosen], kind="stable")]
        return order[: self._allowance(now_ms, order.size)]

    def threshold(self, learned: float) -> float:
        """Return the threshold in force, given the one that the trainer learned."""
        return learned if self.settings.threshold is None else self.settings.threshold

    def _allowance(self, now_ms: int, wanted: int) -> int:
        if self.day != now_ms // DAY_MS:
            self.day, self.sent = now_ms // DAY_MS, 0
        cap = self.settings.daily_cap
        granted = wanted if cap is None else min(wanted, max(cap - self.sent, 0))
        self.sent += granted
        return granted


def reasons_for(
    row: npt.NDArray[Any], x: Features32, contributions: Floats, count: int, now_ms: int
) -> tuple[Reason, ...]:
    """Return what speaks most for leaving, in words and numbers, the strongest first.

    Parameters
    ----------
    row
        The user's row.
    x, contributions
        (F,) features and what each adds to the log-odds.
    count
        How many reasons at most; what speaks for staying is none, and nothing is said twice.
    now_ms
        Time of the check.
    """
    found: dict[str, Reason] = {}
    for index in np.argsort(-contributions, kind="stable").tolist():
        if contributions[index] <= 0 or len(found) == count:
            break
        name, text = describe(row, x, index, now_ms)
        found.setdefault(text, Reason(name, float(contributions[index]), text))
    return tuple(found.values())


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
