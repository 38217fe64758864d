"""What follows a purchase days later: deliveries that go wrong, messages, refunds, reviews."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.events import KIND
from streams.sources.simulator.columns import EventColumns
from streams.sources.simulator.config import DAY_MS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PROBLEMS: Final = 3
_LEAVES: Final = 0.5
_REFUNDED: Final = 0.5
_ANGRY_REVIEW: Final = 0.35
_REVIEW: Final = 0.1


class Purchases(NamedTuple):
    """Purchases as columns: when, by whom, the item a review would be about, its quality, the basket."""

    time: Ints
    user: Ints
    item: Ints
    quality: Floats
    basket: Ints


class Aftermath(NamedTuple):
    """What follows.

    Parameters
    ----------
    events
        Messages, refunds and reviews, days after the purchase.
    active_ms
        (n,) time of the buyer's last activity among them; 0 for none.
    gone
        (n,) buyers who do not come back.
    """

    events: EventColumns
    active_ms: Ints
    gone: Bools


def follow(purchases: Purchases, bad_delivery: float, rng: np.random.Generator) -> Aftermath:
    """Return what follows the purchases."""
    count = len(purchases.time)
    bad = rng.random(count) < bad_delivery
    gone = bad & (purchases.user >= 0) & (rng.random(count) < _LEAVES)
    message_ms = purchases.time + (rng.uniform(2, 5, count) * DAY_MS).astype(np.int64)
    refunded = bad & (rng.random(count) < _REFUNDED)
    refund_ms = message_ms + (rng.uniform(0.2, 2, count) * DAY_MS).astype(np.int64)
    reviewed = rng.random(count) < np.where(bad, _ANGRY_REVIEW, _REVIEW)
    review_ms = message_ms + (rng.uniform(0.1, 5, count) * DAY_MS).astype(np.int64)
    stars = np.rint(purchases.quality * 5 + rng.normal(0, 0.7, count)).clip(1, 5).astype(np.int64)
    rating = np.where(bad, rng.integers(1, 3, count), stars)
    parts = [
        _of("support_message", purchases, bad, message_ms, rng.integers(0, PROBLEMS, count)),
        _of("refund", purchases, refunded, refund_ms, purchases.basket),
        _of("review_submitted", purchases, reviewed, review_ms, rating),
    ]
    active_ms = np.maximum(np.where(bad, message_ms, 0), np.where(reviewed, review_ms, 0))
    return Aftermath(EventColumns.joined(parts), active_ms, gone)


def _of(name: str, purchases: Purchases, chosen: Bools, time: Ints, payload: Ints) -> EventColumns:
    rows = np.flatnonzero(chosen)
    outside = np.zeros(len(rows), np.int64)
    return EventColumns.of(
        KIND[name],
        time[rows],
        purchases.user[rows],
        outside,
        item=purchases.item[rows],
        payload=payload[rows],
    )
