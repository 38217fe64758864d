"""What is looked at once a day in every partition: stage, segment and value of customers, and the board."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from online_models.churn.rows import Rows
from online_models.churn.settings import DAY_MS, UserSettings
from online_models.events import KIND
from online_models.value.expected import expected_spend
from online_models.value.lifecycle import STAGES, stages
from online_models.value.retention import RetentionBoard, board_of
from online_models.value.segments import SEGMENTS, rfm


class Profile(NamedTuple):
    """Where a customer stands and what is to be expected.

    Parameters
    ----------
    subject
        The user, with the prefix ``u:``.
    at_ms
        The end of the day, epoch milliseconds.
    stage, segment
        As in `STAGES` and `SEGMENTS`.
    recency, frequency, monetary
        RFM scores, 1 to 5; 0 for who never bought.
    purchases, spend, last_ms
        Lifetime purchases and spending, and the latest activity.
    expected_value
        Spending expected within the next horizon: the recent pace times the probability to stay.
    """

    subject: str
    at_ms: int
    stage: str
    segment: str
    recency: int
    frequency: int
    monetary: int
    purchases: int
    spend: float
    last_ms: int
    expected_value: float


class DayEnds:
    """The ends of days at which customers are looked at, each once.

    Attributes
    ----------
    looked_ms
        The last one that was looked at, epoch milliseconds; 0 before the first.

    Examples
    --------
    >>> days = DayEnds()
    >>> days.next_ms(90_000_000)
    172800000
    >>> days.ends(172_800_000), days.ends(172_800_000), days.next_ms(172_800_000)
    (True, False, 259200000)
    """

    def __init__(self) -> None:
        self.looked_ms = 0

    def begin(self, now_ms: int) -> None:
        """Let the day of a time, which may be its very begin, be the first to be looked at."""
        self.looked_ms = now_ms // DAY_MS * DAY_MS

    def next_ms(self, now_ms: int) -> int:
        """Return the next end to look at, where the clock stands at `now_ms`."""
        return (self.looked_ms or now_ms // DAY_MS * DAY_MS) + DAY_MS

    def ends(self, now_ms: int) -> bool:
        """Return whether a day ends at `now_ms` that was not looked at yet, and count it as looked at."""
        if now_ms % DAY_MS or now_ms < self.looked_ms + DAY_MS:
            return False
        self.looked_ms = now_ms
        return True


def look(
    subjects: Sequence[str], rows: Rows, now_ms: int, settings: UserSettings
) -> tuple[list[Profile], RetentionBoard]:
    """Return the profiles that are new since they were last looked at, and the board; note it in the rows.

    Parameters
    ----------
    subjects, rows
        n users with activity in an order that does not depend on how the state came about, and (n,) their
        rows, changed in place.
    now_ms
        The end of the day.
    settings
        Horizon, and the probability from which on a user is at risk.
    """
    stage = stages(rows, now_ms, settings.horizon_ms, settings.risky)
    scores = rfm(rows)
    stay = 1.0 - np.where(rows["score_ms"] > 0, rows["score"], 0.0)
    known = now_ms - rows["last_ms"] < settings.horizon_ms
    value = expected_spend(rows, now_ms, settings.horizon_ms) * np.where(known, stay, 0.0)
    changed = np.flatnonzero((stage != rows["stage"]) | (scores.segment != rows["segment"]))
    rows["stage"], rows["segment"] = stage, scores.segment
    purchases = rows["event_counts"][:, KIND["purchase"]]
    profiles = [
        Profile(
            subject=subjects[i],
            at_ms=now_ms,
            stage=STAGES[stage[i]],
            segment=SEGMENTS[scores.segment[i]],
            recency=int(scores.recency[i]),
            frequency=int(scores.frequency[i]),
            monetary=int(scores.monetary[i]),
            purchases=int(purchases[i]),
            spend=float(rows["spend"][i]),
            last_ms=int(rows["last_ms"][i]),
            expected_value=float(value[i]),
        )
        for i in changed.tolist()
    ]
    board = board_of(
        rows,
        stage=stage,
        segment=scores.segment,
        value=value,
        now_ms=now_ms,
        horizon_ms=settings.horizon_ms,
    )
    return profiles, board
