"""Candidates for users' next touches, gathered for many users at once, with their features."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.events import Floats, Int64s
from online_models.items.evidence import CandidateSettings
from online_models.items.features import describe
from online_models.items.histories import Histories
from online_models.items.pairs import Floats32
from online_models.items.pool import (
    BASKET,
    HELD,
    NEWEST,
    OWN,
    ROW,
    SCORE,
    SUPPORT,
    TOUCHED,
    TWO_STEPS,
    collect,
    weigh,
)
from online_models.items.slots import Bools
from online_models.items.source import Int32s, NeighbourSource, present
from online_models.kernels import kernel

_OWN_SHARE: Final = 4.0
_FAR_SHARE: Final = 0.3


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of n users, user by user, those for which most speaks first.

    Parameters
    ----------
    start
        (n + 1,) the candidates of user i are ``start[i]:start[i + 1]``.
    user
        (c,) the user of each candidate.
    row
        (c,) the item, as a row of the `NeighbourSource`; distinct within a user.
    features
        (c, f) in the order of `RANK_FEATURES`.
    touched
        (n, r) rows of the newest touches, newest first, -1 where unknown.
    newest
        (c,) position among them of its latest touch in this session, -1 where it was not touched.
    by, after
        (c,) position of the touch that speaks most for it (-1 = none), and whether it came after that touch
        rather than before.
    """

    start: Int64s
    user: Int64s
    row: Int64s
    features: Floats32
    touched: Int64s
    newest: Int64s
    by: Int64s
    after: Bools


def gather(
    settings: CandidateSettings, histories: Histories, source: NeighbourSource, now_ms: int
) -> Candidates:
    """Return every user's candidates with their features.

    Candidates are the partners of the newest items and these partners' partners, the items of the session and
    of all sessions before, the popular items of the last item's category, and what is popular now. Of these
    the best by a simple score are kept.

    Parameters
    ----------
    settings
        Sources and normalisation.
    histories
        n users.
    source
        Where partners and popularity are read.
    now_ms
        Present event time, epoch milliseconds; weights and popularity are decayed to it.
    """
    touched = source.rows_of(histories.items[:, : settings.positions])
    pool = collect(settings, touched, histories, source, now_ms)
    slow, fast = present(source, pool.places[:, ROW].astype(np.int64), now_ms)
    own = np.float32(_OWN_SHARE) * np.log1p(histories.own.counts.astype(np.float32))
    start = np.zeros(len(touched) + 1, np.int64)
    kept = np.empty(np.minimum(np.diff(pool.begin), settings.kept).sum(), np.int64)
    promise = _promise(pool.sums, pool.places, slow, own.ravel(), settings.partner_power)
    _choose(pool.begin, promise, settings.kept, start, kept)
    kept = kept[: start[-1]]
    user = np.repeat(np.arange(len(touched)), np.diff(start))
    sums, places = pool.sums[kept], pool.places[kept]
    found = weigh(pool, kept)
    features = describe(
        sums, places, found.shares, (slow[kept], fast[kept]), start, touched[:, :1], histories, source, now_ms
    )
    row, newest = places[:, ROW].astype(np.int64), places[:, NEWEST].astype(np.int64)
    return Candidates(start, user, row, features, touched, newest, found.by, found.after)


@kernel("f4[::1](f8[:, ::1], i4[:, ::1], f8[::1], f4[::1], f8)")
def _promise(
    sums: Floats, places: Int32s, popularity: Floats, own: Floats32, partner_power: float
) -> Floats32:
    """Return a simple score: pair weights, then what was touched before, then what is popular.

    What several touches speak for counts more, and the more so as the items of a basket have no order.

    Pair weights are divided by powers of the candidates' popularity, in place. What an event that goes on
    holds cannot come next: its score is -inf.
    """
    found = np.empty(len(sums), np.float32)
    for one in range(len(sums)):
        if places[one, HELD]:
            found[one] = -np.inf
            continue
        promise = 1e-4 * popularity[one] + sums[one, TOUCHED]
        if places[one, SUPPORT]:
            sums[one, SCORE] *= np.exp2(-partner_power * popularity[one])
            sums[one, BASKET] *= np.exp2(-0.5 * popularity[one])
            # The sum of three logarithms, for one.
            near, basket = 1.0 + 100.0 * sums[one, SCORE], 1.0 + 100.0 * sums[one, BASKET]
            promise += np.log(near * basket * (1.0 + places[one, SUPPORT]))
        if sums[one, TWO_STEPS]:
            promise += _FAR_SHARE * np.log(1.0 + 100.0 * sums[one, TWO_STEPS])
        if places[one, OWN] >= 0:
            promise += own[places[one, OWN]]
        found[one] = promise
    return found


@kernel("void(i8[::1], i8, i8)")
def _sink(heap: Int64s, size: int, key: int) -> None:
    """Put a key in place of the top of a heap of a size and let it sink to where it belongs."""
    at = 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = key


@kernel("void(i8[::1], f4[::1], i8, i8[::1], i8[::1])")
def _choose(begin: Int64s, promise: Floats32, count: int, start: Int64s, kept: Int64s) -> None:
    """Write down the best `count` candidates of every user in order, of equal ones the later first.

    Promises become whole numbers of the same order, the place within the user behind them. The best so far
    are a heap, its least on top.
    """
    bits = promise.view(np.int32)
    heap = np.empty(count, np.int64)
    end = 0
    for user in range(begin.size - 1):
        size = 0
        # From the back, where the strongest partners are: who comes later is seldom better.
        for one in range(begin[user + 1] - 1, begin[user] - 1, -1):
            if not promise[one] > -np.inf:
                continue
            order = np.int64(bits[one])
            key = ((order if order >= 0 else order ^ 0x7FFFFFFF) << 32) + (one - begin[user])
            if size < count:
                at = size
                size += 1
                while at and heap[(at - 1) // 2] > key:
                    heap[at] = heap[(at - 1) // 2]
                    at = (at - 1) // 2
                heap[at] = key
            elif key > heap[0]:
                _sink(heap, size, key)
        end += size
        start[user + 1] = end
        for place in range(end - 1, end - 1 - size, -1):
            kept[place] = begin[user] + (heap[0] & 0xFFFFFFFF)
            size -= 1
            _sink(heap, size, heap[size])
