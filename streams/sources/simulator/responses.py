"""How the users of the simulated shop respond to being won back, and what would have happened without it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.churn.rows import IS_ACTIVITY
from streams.sources.simulator.columns import EventColumns
from streams.sources.simulator.config import DAY_MS
from streams.sources.simulator.truth import DELIVERY, STAYS

ACTIONS: Final = ("none", "coupon", "push", "service_call")
"""What users of the simulated shop respond to; anything else is as good as nothing."""

_HOUR_MS: Final = DAY_MS // 24


class Attempt(NamedTuple):
    """A try to win a user back.

    Parameters
    ----------
    user
        Number of the user.
    action
        What was done.
    at_ms
        When it was decided, epoch milliseconds.
    """

    user: int
    action: str
    at_ms: int


class Response(NamedTuple):
    """What is true of an attempt.

    Parameters
    ----------
    anyway
        Whether the user comes back within the horizon without being treated.
    chances
        (A,) by action, in the order of `ACTIONS`: the chance that it brings back who would stay away.
    """

    anyway: bool
    chances: npt.NDArray[np.float64]

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """(A,) by action: the chance of a return within the horizon."""
        return np.ones_like(self.chances) if self.anyway else self.chances


def respond(
    attempts: Sequence[Attempt],
    rows: npt.NDArray[np.void],
    pending: EventColumns,
    *,
    now_ms: int,
    horizon_ms: int,
    rng: np.random.Generator,
) -> list[Response]:
    """Change the plans of users who respond, and return what is true of every attempt.

    Parameters
    ----------
    attempts
        With users that are different from each other.
    rows
        The population's rows, changed in place.
    pending
        What will happen in any case.
    now_ms
        The end of the day.
    horizon_ms
        A return counts within this time.
    rng
        Source of randomness.
    """
    found = []
    for attempt in attempts:
        row = rows[attempt.user]
        chances = _chances(row)
        anyway = _returns_anyway(attempt, row, pending, attempt.at_ms + horizon_ms)
        found.append(Response(anyway, chances))
        place = ACTIONS.index(attempt.action) if attempt.action in ACTIONS else 0
        if rng.random() < chances[place]:
            # Within a few days, so that the return lies within any horizon worth asking for.
            back_ms = now_ms + int(rng.integers(_HOUR_MS, 2 * DAY_MS))
            row["next_ms"] = min(int(row["next_ms"]), back_ms)
            row["reason"], row["left_ms"], row["fading"] = STAYS, 0, 0
    return found


def _chances(row: np.void) -> npt.NDArray[np.float64]:
    """Return (A,) chances: calls mend bad deliveries, coupons move the thrifty, pushes the frequent."""
    angry = row["reason"] == DELIVERY
    coupon = 0.45 if row["thrift"] > 0.6 and not angry else 0.05
    push = 0.35 if row["gap_ms"] < 4 * DAY_MS and not angry else 0.04
    return np.array([0.0, coupon, push, 0.7 if angry else 0.03])


def _returns_anyway(attempt: Attempt, row: np.void, pending: EventColumns, until_ms: int) -> bool:
    if any(attempt.at_ms < row[name] <= until_ms for name in ("last_ms", "next_ms")):
        return True
    mine = (pending.user == attempt.user) & (pending.time > attempt.at_ms) & (pending.time <= until_ms)
    return bool(IS_ACTIVITY[pending.kind[mine]].any())
