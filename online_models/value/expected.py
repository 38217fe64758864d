"""What a customer will spend, from the columns of a user's row."""

from typing import Final

import numpy as np

from online_models.churn.rows import DECAYED, HALF_LIVES_DAYS, Rows, decayed_at
from online_models.churn.settings import DAY_MS
from online_models.events import Floats

_HALF_LIFE_DAYS: Final = 90
_SPEND: Final = (DECAYED.index("spend"), HALF_LIVES_DAYS.index(_HALF_LIFE_DAYS))
_LEAST_DAYS: Final = 30.0
"""Nobody is known for less: the first purchase of a new customer is no daily habit."""


def expected_spend(rows: Rows, now_ms: int, span_ms: int) -> Floats:
    """Return (n,) what users would spend within a span if they went on as lately.

    The pace is the sum of purchases in which one counts half after 90 days, over the weight that a steady
    customer of the same tenure would have: exponential smoothing with the usual correction for a late start.

    Parameters
    ----------
    rows
        (n,) users' rows.
    now_ms
        Event time, epoch milliseconds.
    span_ms
        Length of the span, milliseconds.

    Returns
    -------
    Floats
        In the currency of the events.
    """
    decayed = decayed_at(rows, now_ms)[:, _SPEND[0], _SPEND[1]]
    tenure_days = np.where(rows["first_ms"] > 0, now_ms - rows["first_ms"], 0) / DAY_MS
    known = np.maximum(tenure_days, _LEAST_DAYS)
    rate = np.log(2) / _HALF_LIFE_DAYS
    weight = -np.expm1(-rate * known) / rate
    return np.asarray(decayed / weight * (span_ms / DAY_MS))
