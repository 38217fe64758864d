"""Which items are forgotten, and when: state stays bounded however many items a shop has had."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s
from online_models.items.pairs import PairBatch
from online_models.items.source import log2_or_none

SWEEP_MS: Final = 86_400_000
"""Grid of event time on which items that nobody touches any more are looked for."""


def latest_ms(batch: PairBatch) -> int:
    """Return the largest event time of a batch that is not empty."""
    return int(max(batch.touch_time.max(initial=0), batch.time.max(initial=0)))


def sweeps_before(now_ms: int) -> int:
    """Return how many points of the grid lie before a time; each is swept before a later record is counted.

    >>> sweeps_before(SWEEP_MS), sweeps_before(SWEEP_MS + 1)
    (0, 1)
    """
    return max(now_ms - 1, 0) // SWEEP_MS


def new_rows_at_most(batch: PairBatch) -> int:
    """Return an upper bound of the items that a batch adds to its partition."""
    return batch.hashes.size


def idle_since(rows: npt.NDArray[Any], live: Int64s, before_ms: int) -> Int64s:
    """Return which of the live rows saw nothing after a time."""
    return live[rows["last_ms"][live] <= before_ms]


def most_faded(rows: npt.NDArray[Any], live: Int64s, count: int) -> Int64s:
    """Return the `count` live rows with the least popularity, decayed to one moment, whichever that is.

    Ties go by the hash, so that nothing depends on the order in which rows were made.
    """
    heat = log2_or_none(rows["popularity"][live]) + rows["epoch"][live]
    return live[np.lexsort((rows["hash"][live], heat))[:count]]
