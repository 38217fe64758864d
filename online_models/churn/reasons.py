"""Why a user is likely to leave: what each side of the user's behaviour adds to the log-odds, in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.churn.counterfactual import after_purchase
from online_models.churn.features import FEATURE_NAMES, Features32, describe, features
from online_models.churn.rows import Rows
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import UserSettings
from online_models.events import Floats

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "silence": (
        "recency",
        "recency_linear",
        "recency_over_gap",
        "bgnbd",
        "gap_mean",
        "gap_deviation",
    ),
    "history": ("sessions", "tenure", "has_gap"),
    "visits": (
        "trend",
        "sessions_7d",
        "sessions_30d",
        "sessions_90d",
        "activity_1d",
        "activity_7d",
        "activity_30d",
    ),
    "browsing": ("views_30d", "views_7d"),
    "cart": ("cart_left", "carts_7d", "carts_30d"),
    "purchases": ("purchase_recency", "purchases_7d", "purchases_30d", "purchases_90d"),
    "spend": ("order_value", "spend_30d", "spend_90d"),
    "interests": ("categories", "item_returns"),
    "ratings": ("rating_last", "rating_mean"),
}
"""Features that tell of the same thing; the first of each says it. They move together, so that their weights
share one effect, often with opposite signs: only the sum of a group means something."""

_GROUP_OF: Final = np.array(
    [place for name in FEATURE_NAMES for place, group in enumerate(GROUPS.values()) if name in group]
)
_SPOKESMAN: Final = tuple(FEATURE_NAMES.index(group[0]) for group in GROUPS.values())


class Reason(NamedTuple):
    """One reason behind a probability.

    Parameters
    ----------
    group
        Name of the group of features.
    contribution
        What it adds to the log-odds of leaving, compared with a user of mean features.
    text
        The same in words and numbers.
    """

    group: str
    contribution: float
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a user has a probability of leaving, and what would change it.

    Parameters
    ----------
    reasons
        What speaks for leaving, the strongest first.
    contributions
        What every group adds to the log-odds, compared with a user of mean features; they add up exactly.
    probability, after_purchase
        Probability now, and what it would be had the user bought something this moment.
    """

    reasons: tuple[Reason, ...] = ()
    contributions: Mapping[str, float] = field(default_factory=dict)
    probability: float = 0.0
    after_purchase: float = 0.0

    @property
    def counterfactual(self) -> str:
        """What a purchase would do, in words; empty without a model.

        >>> why = {"silence": 1.2}
        >>> Explanation(contributions=why, probability=0.8, after_purchase=0.314).counterfactual
        'one purchase would lower it to 0.31'
        """
        if not self.contributions:
            return ""
        if self.after_purchase < self.probability:
            return f"one purchase would lower it to {self.after_purchase:.2f}"
        return f"a purchase would not lower it ({self.after_purchase:.2f} after one)"


def explain(
    row: Rows, x: Features32, now_ms: int, scorer: ChurnScorer, settings: UserSettings
) -> Explanation:
    """Return why one user is likely to leave.

    Parameters
    ----------
    row
        (1,) the user's row.
    x
        (1, F) the user's features as of now.
    now_ms
        Time of the check, epoch milliseconds.
    scorer
        The model.
    settings
        Settings of the users' store.
    """
    contributions = group_contributions(scorer.contributions(x)[0])
    bought = features(after_purchase(row, now_ms, settings), now_ms, settings)
    return Explanation(
        reasons=reasons_for(row[0], x[0], contributions, settings.alerts.reasons, now_ms),
        contributions=contributions,
        probability=float(scorer.score_many(x)[0]),
        after_purchase=float(scorer.score_many(bought)[0]),
    )


def group_contributions(contributions: Floats) -> dict[str, float]:
    """Return the contributions of the groups for (F,) contributions of features."""
    sums = np.bincount(_GROUP_OF, weights=contributions, minlength=len(GROUPS))
    return dict(zip(GROUPS, sums.tolist(), strict=True))


def reasons_for(
    row: npt.NDArray[Any], x: Features32, contributions: Mapping[str, float], count: int, now_ms: int
) -> tuple[Reason, ...]:
    """Return what speaks most for leaving, in words and numbers, the strongest first.

    Parameters
    ----------
    row
        The user's row.
    x, contributions
        (F,) features, and what each group adds to the log-odds.
    count
        How many reasons at most; what speaks for staying is none.
    now_ms
        Time of the check.
    """
    ranked = sorted(enumerate(contributions.items()), key=lambda entry: -entry[1][1])
    return tuple(
        Reason(name, amount, describe(row, x, _SPOKESMAN[place], now_ms)[1])
        for place, (name, amount) in ranked[:count]
        if amount > 0
    )
