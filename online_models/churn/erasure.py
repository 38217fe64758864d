"""The moment at which an erasure takes effect: its place in the log, whatever time it claims."""

from dataclasses import replace
from typing import Final

import numpy as np

from online_models.events import KIND, EventBatch

ERASED: Final = KIND["user_erased"]


def at_their_place(events: EventBatch, now_ms: int) -> EventBatch:
    """Return events with every erasure at the time that the partition's clock has reached before it.

    A request to be forgotten is never too late, and must not move the clock: a present one, amid a replay of
    old events, would let every other user look long gone.

    Parameters
    ----------
    events
        Events of one partition in log order.
    now_ms
        The clock before them; -1 before the first event.

    Examples
    --------
    >>> from online_models.events import hash_ids
    >>> none = np.zeros(0)
    >>> log = EventBatch(
    ...     subject=["u:ann", "u:bob"], event_id=hash_ids(["e1", "e2"]),
    ...     kind=np.array([KIND["login"], ERASED], np.int8), time=np.array([1000, 9000]),
    ...     offset=np.arange(2), session=np.zeros(2, np.uint64), value=np.full(2, np.nan),
    ...     rating=np.full(2, np.nan), item_start=np.zeros(3, np.int64), item=[],
    ...     item_hash=hash_ids([]), category=[], price=none, quantity=none,
    ... )
    >>> at_their_place(log, -1).time.tolist()
    [1000, 1000]
    """
    erasures = events.kind == ERASED
    if not erasures.any():
        return events
    reached = np.maximum.accumulate(np.maximum(np.where(erasures, 0, events.time), now_ms))
    return replace(events, time=np.where(erasures, reached, events.time))
