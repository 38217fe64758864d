"""What the simulator knows about its users and no event says."""

from typing import Final, NamedTuple

STAYS: Final = 0
REASONS: Final = ("", "bored", "price", "delivery")
"""Why a user left; the position is the code."""

BORED: Final = REASONS.index("bored")
PRICE: Final = REASONS.index("price")
DELIVERY: Final = REASONS.index("delivery")


class UserTruth(NamedTuple):
    """The fate of one user.

    Parameters
    ----------
    user_id
        As in the events.
    arrived_ms
        Time of the first session, epoch milliseconds; -1 if it has not come yet.
    left_ms
        Time of the last activity of a user who has left; None while the user stays.
    reason
        One of `REASONS`, empty while the user stays.
    gap_days
        Mean time between two sessions of an interested user.
    """

    user_id: str
    arrived_ms: int
    left_ms: int | None
    reason: str
    gap_days: float
