"""What a win-back decision goes by: a few bounded numbers of a user, in a fixed order."""

from typing import Final

import numpy as np

from online_models.churn.rows import Rows
from online_models.churn.settings import DAY_MS
from online_models.events import KIND, Floats

CONTEXT_NAMES: Final = (
    "constant",
    "risk",
    "recency",
    "tenure",
    "purchases",
    "spend",
    "cart_left",
    "unhappy",
    "gap",
    "order_value",
)
"""Every one lies between 0 and 1, so that no unit outweighs another."""


def contexts(rows: Rows, probability: Floats, expected_spend: Floats, now_ms: int, horizon_ms: int) -> Floats:
    """Return (n, C) contexts, columns as in `CONTEXT_NAMES`.

    Parameters
    ----------
    rows
        (n,) users' rows.
    probability
        (n,) probability of leaving.
    expected_spend
        (n,) expected spending within the horizon.
    now_ms
        Event time, epoch milliseconds.
    horizon_ms
        The horizon, milliseconds.
    """
    x = np.zeros((rows.size, len(CONTEXT_NAMES)))
    x[:, 0] = 1.0
    x[:, 1] = probability
    x[:, 2] = np.clip((now_ms - rows["last_ms"]) / horizon_ms, 0, 1)
    x[:, 3] = _squash((now_ms - rows["first_ms"]) / DAY_MS, 90)
    x[:, 4] = _squash(rows["event_counts"][:, KIND["purchase"]], 3)
    x[:, 5] = _squash(expected_spend, 50)
    x[:, 6] = rows["cart_items"] > 0
    counts = rows["event_counts"]
    x[:, 7] = ((rows["ratings"] > 0) & (rows["rating_last"] <= 2)) | (counts[:, KIND["support_message"]] > 0)
    x[:, 8] = _squash(rows["gaps"][:, 0] / np.maximum(rows["sessions"].astype(np.float64) - 1, 1), 7)
    x[:, 9] = _squash(rows["spend"] / np.maximum(counts[:, KIND["purchase"]], 1), 50)
    # As they are logged: the model learns from exactly what it decided by.
    return np.asarray(x.astype(np.float32), dtype=np.float64)


def _squash(values: Floats, half: float) -> Floats:
    """Return values of 0 and above as 0 to 1, `half` as one half."""
    positive = np.maximum(values, 0)
    return np.asarray(positive / (positive + half))
