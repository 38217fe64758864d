"""RFM segments: how lately, how often and for how much customers bought, in fifths of the buyers [1]_.

References
----------
.. [1] Hughes, 1994. Strategic database marketing.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.churn.rows import Rows
from online_models.events import KIND, Floats, Int8s

SEGMENTS: Final = (
    "",
    "browser",
    "champion",
    "loyal",
    "promising",
    "new_buyer",
    "needs_attention",
    "slipping",
    "cannot_lose",
    "hibernating",
)
"""The position is the code in the user's row, 0 for not looked at yet; new ones come at the end."""

_PURCHASE: Final = KIND["purchase"]
_FIFTHS: Final = (0.2, 0.4, 0.6, 0.8)


class Rfm(NamedTuple):
    """Scores from 1 to 5, the best fifth 5; 0 for who never bought.

    Parameters
    ----------
    recency, frequency, monetary
        (n,) scores.
    segment
        (n,) codes into `SEGMENTS`.
    """

    recency: Int8s
    frequency: Int8s
    monetary: Int8s
    segment: Int8s


def rfm(rows: Rows) -> Rfm:
    """Return the scores of users among each other; equal customers have equal scores.

    Parameters
    ----------
    rows
        (n,) rows of all users who are to be compared.
    """
    bought = rows["purchase_ms"] > 0
    recency = _scores(rows["purchase_ms"].astype(np.float64), bought)
    frequency = _scores(rows["event_counts"][:, _PURCHASE].astype(np.float64), bought)
    monetary = _scores(rows["spend"], bought)
    often = frequency >= 4
    names, conditions = zip(
        ("browser", ~bought),
        ("champion", (recency >= 4) & often),
        ("cannot_lose", (recency == 1) & often),
        ("loyal", often),
        ("promising", (recency >= 4) & (frequency >= 2)),
        ("new_buyer", recency >= 4),
        ("needs_attention", recency == 3),
        ("slipping", recency == 2),
        strict=True,
    )
    segment = np.select(conditions, [SEGMENTS.index(name) for name in names], SEGMENTS.index("hibernating"))
    return Rfm(recency, frequency, monetary, segment.astype(np.int8))


def _scores(values: Floats, bought: npt.NDArray[np.bool_]) -> Int8s:
    if not bought.any():
        return np.zeros(values.size, np.int8)
    edges = np.quantile(values[bought], _FIFTHS)
    return np.where(bought, 1 + np.searchsorted(edges, values, side="left"), 0).astype(np.int8)
