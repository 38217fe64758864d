"""The numbers a ranker sees of each candidate, about one in size, in a fixed order of names."""

from typing import Final

import numpy as np

from online_models.events import Floats, Int64s
from online_models.items.evidence import Evidence
from online_models.items.histories import Histories
from online_models.items.own_items import OwnItems
from online_models.items.pairs import Floats32
from online_models.items.source import LEAST_HEAT, NeighbourSource, present_heat

RANK_FEATURES: Final = (
    "forward_last",
    "forward_second",
    "forward_older",
    "backward_last",
    "backward_second",
    "backward_older",
    "lag1_share",
    "reload_share",
    "two_steps",
    "cooccurrence",
    "basket",
    "rank",
    "support",
    "session_recency",
    "is_last",
    "is_second",
    "session_count",
    "own",
    "own_count",
    "own_age",
    "log_popularity",
    "log_lately",
    "trend",
    "last_popularity",
    "session_length",
    "fallback_popularity",
    "same_category",
    "price_gap",
)
"""Order of the columns of `Candidates.features`.

forward_*, backward_*
    log(1 + 100 s) / 3 of the share s of touches of the last item (of the one before it, of the older ones)
    after or before which the candidate came, k steps apart counting 1 / k.
lag1_share, reload_share
    The same of the share of the last item's touches that the candidate directly followed; in the second
    column where the candidate is the last item itself.
two_steps
    The same of the share reached over a partner's partners.
cooccurrence
    log(1 + 100 s) / 3 of all pair weights s with the newest touches, each divided by the touch's position and
    by powers of both popularities.
basket
    The same of the cosine of the candidate with the newest touches together, whatever their order.
rank, support
    log(1 / place) / 2 among the user's candidates, and log(1 + newest touches whose partner it is).
session_recency, is_last, is_second, session_count
    1 / position of the candidate's latest touch in this session, whether it is the last or second last item,
    and log(1 + its touches there); 0 where it was not touched.
own, own_count, own_age
    Whether the user touched it in any session, log(1 + how often) and log(1 + seconds before the user's
    latest touch) / 10; 0 where never.
log_popularity, log_lately, trend, last_popularity
    Natural logarithm / 4 of the touches decayed slowly and fast, their difference, and the first of the last
    item.
session_length
    log(1 + touches in the session) / 2.
fallback_popularity
    log_lately where nothing but its popularity speaks for the candidate, else 0.
same_category, price_gap
    Whether it is of the last item's (known) category, and the logarithm of the ratio of their prices without
    sign, at most 2; 0 where one is unknown.
"""

COLUMN: Final = {name: place for place, name in enumerate(RANK_FEATURES)}
_PERCENT: Final = 100.0


def describe(  # noqa: PLR0917  # columns
    found: Evidence,
    rank: Int64s,
    last: Int64s,
    histories: Histories,
    source: NeighbourSource,
    now_ms: int,
) -> Floats32:
    """Return (c, f) features of candidates.

    Parameters
    ----------
    found
        What speaks for the candidates.
    rank
        (c,) place among the user's candidates, from 0.
    last
        (n, 1) rows of the newest touches, -1 where unknown; (n, 0) where no history has any.
    histories, source, now_ms
        The n users, where rows belong, and present event time in epoch milliseconds.
    """
    # Column by column in memory; a ranker wants the other order.
    table = np.zeros((len(RANK_FEATURES), found.row.size), np.float32)
    table[:3] = _percent(found.forward.T)
    table[3:6] = _percent(found.backward.T)
    table[COLUMN["two_steps"]] = _percent(found.two_steps)
    table[COLUMN["rank"]] = -0.5 * np.log1p(rank)
    table[COLUMN["support"]] = np.log1p(found.support)
    table[COLUMN["session_length"]] = 0.5 * np.log1p(histories.session_length)[found.user]
    _add_session(table, found)
    if last.shape[1]:
        _add_last(table, found, last[:, 0], source, now_ms)
    _add_own(table, found, histories.own)
    _add_popularity(table, found, source, now_ms)
    lag1 = _percent(found.lag1)
    table[COLUMN["reload_share"]] = lag1 * table[COLUMN["is_last"]]
    table[COLUMN["lag1_share"]] = lag1 * (1.0 - table[COLUMN["is_last"]])
    return np.ascontiguousarray(table.T)


def _percent(share: Floats) -> Floats32:
    return np.asarray(np.log1p(np.float32(_PERCENT) * share.astype(np.float32)) / np.float32(3.0))


def _add_session(table: Floats32, found: Evidence) -> None:
    touched = found.newest >= 0
    table[COLUMN["session_recency"]] = touched / np.maximum(found.newest + 1.0, 1.0)
    table[COLUMN["session_count"]] = np.log1p(found.touches)
    table[COLUMN["is_last"]] = found.newest == 0
    table[COLUMN["is_second"]] = found.newest == 1


def _add_own(table: Floats32, found: Evidence, own: OwnItems) -> None:
    at = np.flatnonzero(found.own >= 0)
    place = found.own[at]
    latest = own.last_s.max(axis=1, initial=0).astype(np.int64)
    age = latest[found.user[at]] - own.last_s.ravel()[place].astype(np.int64)
    table[COLUMN["own"], at] = 1.0
    table[COLUMN["own_count"], at] = np.log1p(own.counts.ravel()[place].astype(np.float64))
    table[COLUMN["own_age"], at] = 0.1 * np.log1p(age)


def _add_popularity(table: Floats32, found: Evidence, source: NeighbourSource, now_ms: int) -> None:
    settings = source.settings
    _, fast = source.heat(found.row)
    log_slow = 0.25 * np.log(2.0) * present_heat(source, found.row, now_ms)
    log_fast = 0.25 * np.log(2.0) * np.maximum(fast - now_ms / settings.lately_half_life_ms, LEAST_HEAT)
    table[COLUMN["log_popularity"]] = log_slow
    table[COLUMN["log_lately"]] = log_fast
    table[COLUMN["trend"]] = log_fast - log_slow
    table[COLUMN["cooccurrence"]] = _percent(found.score)
    table[COLUMN["basket"]] = _percent(found.basket)
    nothing = (found.support == 0) & (found.own < 0) & (found.two_steps == 0) & (found.newest < 0)
    table[COLUMN["fallback_popularity"]] = nothing * log_fast


def _add_last(table: Floats32, found: Evidence, last: Int64s, source: NeighbourSource, now_ms: int) -> None:
    """Add what the candidate has to do with the last item."""
    known = last >= 0
    safe = np.maximum(last, 0)
    if not source.size:
        return
    popularity = np.where(known, 0.25 * np.log(2.0) * present_heat(source, safe, now_ms), 0.0)
    category = np.where(known, source.categories(safe), 0)[found.user]
    price = np.where(known, source.prices(safe), np.nan)[found.user]
    table[COLUMN["last_popularity"]] = popularity[found.user]
    table[COLUMN["same_category"]] = (category != 0) & (source.categories(found.row) == category)
    theirs = source.prices(found.row)
    both = (price > 0) & (theirs > 0)
    gap = np.zeros(found.row.size)
    gap[both] = np.minimum(np.abs(np.log(theirs[both] / price[both])), 2.0)
    table[COLUMN["price_gap"]] = gap
