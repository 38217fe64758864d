"""Where a customer stands: new, active, at risk, lapsed or won back."""

from typing import Final

import numpy as np

from online_models.churn.rows import Rows
from online_models.events import Int8s

STAGES: Final = ("", "new", "active", "at_risk", "lapsed", "won_back")
"""The position is the code in the user's row, 0 for not looked at yet; new ones come at the end."""

_NEW, _ACTIVE, _AT_RISK, _LAPSED, _WON_BACK = range(1, len(STAGES))


def stages(rows: Rows, now_ms: int, horizon_ms: int, risky: float) -> Int8s:
    """Return (n,) codes into `STAGES`; the first that fits.

    1. *lapsed*: no activity for a horizon;
    2. *at risk*: the last score is at least `risky`, and nothing has happened since;
    3. *won back*: within the last horizon back after a silence of at least one;
    4. *new*: first seen within the last horizon;
    5. *active*: all others.

    Parameters
    ----------
    rows
        (n,) users' rows.
    now_ms
        Event time, epoch milliseconds.
    horizon_ms
        The horizon, milliseconds.
    risky
        Probability of leaving.
    """
    since_ms = now_ms - horizon_ms
    return np.select(
        [
            rows["last_ms"] <= since_ms,
            (rows["score_ms"] >= rows["last_ms"]) & (rows["score"] >= risky),
            rows["won_ms"] > since_ms,
            rows["first_ms"] > since_ms,
        ],
        [_LAPSED, _AT_RISK, _WON_BACK, _NEW],
        _ACTIVE,
    ).astype(np.int8)
