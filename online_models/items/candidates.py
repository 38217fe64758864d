"""Candidates for users' next touches, gathered for many users at once, with their features."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.events import Floats, Int64s
from online_models.items.evidence import LEAST_HEAT, CandidateSettings, Evidence, collect
from online_models.items.features import describe
from online_models.items.histories import Histories
from online_models.items.pairs import Floats32
from online_models.items.source import NeighbourSource

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
    own = source.rows_of(histories.own.items)
    found = collect(settings, touched, own, source, now_ms)
    popularity = np.maximum(source.heat(found.row)[0] - now_ms / source.settings.half_life_ms, LEAST_HEAT)
    found = found._replace(score=found.score * np.exp2(-settings.partner_power * popularity))
    promise = _promise(found, popularity, touched, own, histories, source)
    kept, rank, start = _best(found.user, promise, len(histories), settings.kept)
    found = found.take(kept)
    features = describe(found, rank, touched, own, histories, source, now_ms)
    return Candidates(start, found.user, found.row, features)


def _promise(  # noqa: PLR0917  # columns
    found: Evidence,
    popularity: Floats,
    touched: Int64s,
    own: Int64s,
    histories: Histories,
    source: NeighbourSource,
) -> Floats:
    """Return (c,) a simple score: pair weights, then what was touched before, then what is popular."""
    promise = np.log1p(100.0 * found.score) + _FAR_SHARE * np.log1p(100.0 * found.two_steps)
    size = max(source.size, 1)
    key = found.user * size + found.row
    user, position = np.nonzero(touched >= 0)
    near = np.searchsorted(key, user * size + touched[user, position])
    np.add.at(promise, near, 3.0 / (position + 1))
    user, slot = np.nonzero(own >= 0)
    at = np.searchsorted(key, user * size + own[user, slot])
    promise[at] += _OWN_SHARE * np.log1p(histories.own.counts[user, slot])
    return np.asarray(promise + 1e-4 * popularity)


def _best(user: Int64s, promise: Floats, users: int, count: int) -> tuple[Int64s, Int64s, Int64s]:
    """Return the best `count` candidates of every user in order, each one's place, and where users start."""
    begin = np.searchsorted(user, np.arange(users + 1))
    sizes = np.diff(begin)
    width = max(int(sizes.max(initial=0)), 1)
    grid = np.full((users, width), -np.inf)
    grid[user, np.arange(user.size) - begin[user]] = promise
    if width > count:
        some = np.sort(np.argpartition(-grid, count - 1, axis=1)[:, :count], axis=1)
        grid = np.take_along_axis(grid, some, axis=1)
    else:
        some = np.broadcast_to(np.arange(width), grid.shape)
    order = np.argsort(-grid, axis=1, kind="stable")
    places = np.take_along_axis(some, order, axis=1) + begin[:-1, None]
    held = np.arange(order.shape[1]) < np.minimum(sizes, count)[:, None]
    rank = np.broadcast_to(np.arange(order.shape[1]), held.shape)[held]
    start = np.concatenate(([0], np.cumsum(np.minimum(sizes, count))))
    return places[held], rank, start
