"""The retention board: who came, who stayed away, what is left of cohorts, counted at the end of a day.

A board is of one partition. Everything in it is a count or a sum, so the boards of all partitions add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from online_models.churn.rows import Rows
from online_models.churn.settings import DAY_MS
from online_models.events import Floats, Int8s
from online_models.value.lifecycle import STAGES
from online_models.value.segments import SEGMENTS

WEEK_MS: Final = 7 * DAY_MS
COHORTS: Final = 53
"""Weeks back whose newcomers are followed."""

_FIRST_MONDAY_MS: Final = 4 * DAY_MS
"""Weeks begin on Mondays, UTC: 1970-01-05 was the first."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """The users first seen in one week: how many there are, and how many were active in the last 7 days."""

    week_ms: int
    size: int
    active: int


@dataclass(frozen=True, slots=True)
class RetentionBoard:
    """Counts of known users at the end of a day.

    Parameters
    ----------
    at_ms
        The end of the day, epoch milliseconds.
    users
        All who are known and were ever active.
    daily, weekly, monthly
        Active within 1, 7 and 30 days.
    fresh
        First seen within the day.
    at_stake, churned
        Whose silence was shorter than a horizon a day ago, and of these those whose silence reached it within
        the day.
    stages, segments
        Users by lifecycle stage and by segment.
    expected_value
        Sum of what users would spend within a horizon, weighted by their probability to stay.
    cohorts
        By week of the first activity, the oldest first.
    """

    at_ms: int
    users: int
    daily: int
    weekly: int
    monthly: int
    fresh: int
    at_stake: int
    churned: int
    stages: dict[str, int]
    segments: dict[str, int]
    expected_value: float
    cohorts: tuple[Cohort, ...]

    @property
    def stickiness(self) -> float:
        """Daily over monthly active users; 0 without any."""
        return self.daily / self.monthly if self.monthly else 0.0

    @property
    def churn_rate(self) -> float:
        """Share of those at stake who churned within the day; 0 without any."""
        return self.churned / self.at_stake if self.at_stake else 0.0


def board_of(
    rows: Rows, *, stage: Int8s, segment: Int8s, value: Floats, now_ms: int, horizon_ms: int
) -> RetentionBoard:
    """Return the board of (n,) users with activity.

    Parameters
    ----------
    rows
        Their rows.
    stage, segment, value
        (n,) codes into `STAGES` and `SEGMENTS`, and expected values.
    now_ms
        The end of the day.
    horizon_ms
        The horizon, milliseconds.
    """
    quiet_ms = now_ms - rows["last_ms"]
    return RetentionBoard(
        at_ms=now_ms,
        users=rows.size,
        daily=int((quiet_ms < DAY_MS).sum()),
        weekly=int((quiet_ms < WEEK_MS).sum()),
        monthly=int((quiet_ms < 30 * DAY_MS).sum()),
        fresh=int((now_ms - rows["first_ms"] < DAY_MS).sum()),
        at_stake=int((quiet_ms < horizon_ms + DAY_MS).sum()),
        churned=int(((quiet_ms >= horizon_ms) & (quiet_ms < horizon_ms + DAY_MS)).sum()),
        stages=_counts(stage, STAGES),
        segments=_counts(segment, SEGMENTS),
        expected_value=float(value.sum()),
        cohorts=_cohorts(rows, now_ms),
    )


def combined(boards: Sequence[RetentionBoard]) -> RetentionBoard:
    """Return the boards of all partitions of one day as one.

    Parameters
    ----------
    boards
        At least one, each of another partition and of the same day.
    """
    cohorts: dict[int, tuple[int, int]] = {}
    for board in boards:
        for one in board.cohorts:
            size, active = cohorts.get(one.week_ms, (0, 0))
            cohorts[one.week_ms] = (size + one.size, active + one.active)

    def total(name: str) -> Any:
        return sum(getattr(board, name) for board in boards)

    def merged(name: str) -> dict[str, int]:
        keys = dict.fromkeys(key for board in boards for key in getattr(board, name))
        return {key: sum(getattr(board, name).get(key, 0) for board in boards) for key in keys}

    return RetentionBoard(
        at_ms=boards[0].at_ms,
        users=total("users"),
        daily=total("daily"),
        weekly=total("weekly"),
        monthly=total("monthly"),
        fresh=total("fresh"),
        at_stake=total("at_stake"),
        churned=total("churned"),
        stages=merged("stages"),
        segments=merged("segments"),
        expected_value=total("expected_value"),
        cohorts=tuple(Cohort(week, size, active) for week, (size, active) in sorted(cohorts.items())),
    )


def _counts(codes: Int8s, names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(codes, minlength=len(names)).tolist()
    return dict(zip(names[1:], counts[1:], strict=True))


def _cohorts(rows: Rows, now_ms: int) -> tuple[Cohort, ...]:
    week = (rows["first_ms"] - _FIRST_MONDAY_MS) // WEEK_MS
    recent = week > (now_ms - _FIRST_MONDAY_MS) // WEEK_MS - COHORTS
    weeks, place = np.unique(week[recent], return_inverse=True)
    active = np.bincount(place, (now_ms - rows["last_ms"][recent] < WEEK_MS), weeks.size)
    sizes = np.bincount(place, minlength=weeks.size)
    return tuple(
        Cohort(int(number) * WEEK_MS + _FIRST_MONDAY_MS, int(size), int(count))
        for number, size, count in zip(weeks, sizes, active, strict=True)
    )
