"""Candidates for users' next touches, gathered for many users at once, with their features."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.events import Floats, Int64s
from online_models.items.evidence import CandidateSettings, Pool, collect, weigh
from online_models.items.features import describe
from online_models.items.histories import Histories
from online_models.items.pairs import Floats32
from online_models.items.source import NeighbourSource, present_heat

_OWN_SHARE: Final = 4.0
_FAR_SHARE: Final = 0.3
_SUPPORT_SHARE: Final = 1.0
_BASKET_SHARE: Final = 1.0
"""What several touches speak for counts more: the items of a basket have no order."""
_MANY: Final = 2**15
"""Numbers below it fit into 16 bits, which are sorted by counting."""


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
    """

    start: Int64s
    user: Int64s
    row: Int64s
    features: Floats32


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
    pool = collect(settings, touched, source.rows_of(histories.own.items), source, now_ms)
    popularity = present_heat(source, pool.row, now_ms)
    pool = pool._replace(
        score=pool.score * np.exp2(-settings.partner_power * popularity),
        basket=pool.basket * np.exp2(-0.5 * popularity),
    )
    promise = _promise(pool, popularity, touched.shape[1], histories)
    free = _free(pool, histories, source)
    kept, rank, start = _best(pool.user[free], promise[free], len(histories), settings.kept)
    kept = free[kept]
    found = weigh(pool, kept, histories.in_session, touched.shape[1])
    features = describe(found, rank, touched[:, :1], histories, source, now_ms)
    return Candidates(start, found.user, found.row, features)


def _free(pool: Pool, histories: Histories, source: NeighbourSource) -> Int64s:
    """Return the candidates that can come next: an event that goes on holds each item once."""
    width = int(histories.in_event.max(initial=0))
    if not width:
        return np.arange(pool.row.size)
    held = np.arange(width) < histories.in_event[:, None]
    rows = source.rows_of(np.where(held, histories.items[:, :width], 0))
    user, place = np.nonzero(rows >= 0)
    return np.flatnonzero(
        ~np.isin(pool.user * source.size + pool.row, user * source.size + rows[user, place])
    )


def _promise(pool: Pool, popularity: Floats, width: int, histories: Histories) -> Floats32:
    """Return (c,) a simple score: pair weights, then what was touched before, then what is popular."""
    promise = np.log1p(100.0 * pool.score) + _FAR_SHARE * np.log1p(100.0 * pool.two_steps)
    promise += _SUPPORT_SHARE * np.log1p(np.bincount(pool.entry_of, minlength=promise.size))
    promise += _BASKET_SHARE * np.log1p(100.0 * pool.basket)
    promise += 1e-4 * popularity
    if width:
        promise += np.bincount(pool.touch_of, 3.0 / (pool.touch % width + 1), promise.size)
    promise[pool.own_of] += _OWN_SHARE * np.log1p(histories.own.counts.ravel()[pool.own])
    return promise.astype(np.float32)


def _best(user: Int64s, promise: Floats32, users: int, count: int) -> tuple[Int64s, Int64s, Int64s]:
    """Return the best `count` candidates of every user in order, each one's place, and where users start."""
    grid, order, begin = _by_user(user, promise, users)
    if grid.shape[1] > count:
        # Few are as good as the last one that is kept: these are put into order, the rest is left alone.
        least = np.partition(grid, grid.shape[1] - count, axis=1)[:, grid.shape[1] - count]
        good = np.flatnonzero(promise >= least[user])
        grid, order, begin = _by_user(user[good], promise[good], users)
        order = good[order]
    best = np.argsort(-grid, axis=1, kind="stable")[:, :count]
    sizes = np.minimum(np.diff(begin), count)
    held = np.arange(best.shape[1]) < sizes[:, None]
    rank = np.broadcast_to(np.arange(best.shape[1]), held.shape)[held]
    return order[(best + begin[:-1, None])[held]], rank, np.concatenate(([0], np.cumsum(sizes)))


def _by_user(user: Int64s, promise: Floats32, users: int) -> tuple[Floats32, Int64s, Int64s]:
    """Return a row for each user, filled up with -inf, the candidates in its order, and where each begins."""
    order = np.argsort(user.astype(np.int16) if users < _MANY else user, kind="stable")
    begin = np.concatenate(([0], np.cumsum(np.bincount(user, minlength=users))))
    grid = np.full((users, max(int(np.diff(begin).max(initial=0)), 1)), -np.inf, np.float32)
    owner = user[order]
    grid[owner, np.arange(owner.size) - begin[owner]] = promise[order]
    return grid, order, begin
