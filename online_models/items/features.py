"""The numbers a ranker sees of each candidate, about one in size, in a fixed order of names."""

from typing import Final

import numpy as np

from online_models.events import Floats, Int64s
from online_models.items.histories import Histories
from online_models.items.own_items import UInt16s, UInt32s
from online_models.items.pairs import Floats32
from online_models.items.pool import BASKET, NEWEST, OWN, ROW, SCORE, SUPPORT, TOUCHES, TWO_STEPS
from online_models.items.source import Int32s, NeighbourSource, present_heat
from online_models.kernels import kernel

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
_WIDTH: Final = len(RANK_FEATURES)
_LN_2: Final = float(np.log(2.0))
(
    _LAG1_SHARE,
    _RELOAD_SHARE,
    _TWO_STEPS,
    _COOCCURRENCE,
    _BASKET,
    _RANK,
    _SUPPORT,
    _SESSION_RECENCY,
    _IS_LAST,
    _IS_SECOND,
    _SESSION_COUNT,
    _OWN,
    _OWN_COUNT,
    _OWN_AGE,
    _LOG_POPULARITY,
    _LOG_LATELY,
    _TREND,
    _LAST_POPULARITY,
    _SESSION_LENGTH,
    _FALLBACK_POPULARITY,
    _SAME_CATEGORY,
    _PRICE_GAP,
) = range(6, len(RANK_FEATURES))


def describe(  # noqa: PLR0917  # columns
    sums: Floats,
    places: Int32s,
    shares: Floats,
    heat: tuple[Floats, Floats],
    start: Int64s,
    last: Int64s,
    histories: Histories,
    source: NeighbourSource,
    now_ms: int,
) -> Floats32:
    """Return (c, f) features of candidates.

    Parameters
    ----------
    sums, places, shares
        What speaks for the candidates, by the columns of `Pool` and `Evidence`.
    heat
        (c,) log2 of their touches, decayed slowly and fast.
    start
        (n + 1,) the candidates of user i are ``start[i]:start[i + 1]``, best first.
    last
        (n, 1) rows of the newest touches, -1 where unknown; (n, 0) where no history has any.
    histories, source, now_ms
        The n users, where rows belong, and present event time in epoch milliseconds.
    """
    users, rows = len(histories), places[:, ROW].astype(np.int64)
    popularity, category, price = np.zeros(users), np.zeros(users, np.int64), np.full(users, np.nan)
    if last.shape[1]:
        known = np.flatnonzero(last[:, 0] >= 0)
        of_last = last[known, 0]
        popularity[known] = 0.25 * _LN_2 * present_heat(source, of_last, now_ms)
        category[known], price[known] = source.categories(of_last), source.prices(of_last)
    own = histories.own
    table = np.zeros((rows.size, _WIDTH), np.float32)
    _describe(
        start,
        sums,
        places,
        shares,
        *heat,
        source.categories(rows),
        source.prices(rows),
        popularity,
        category,
        price,
        histories.session_length.astype(np.int64),
        own.counts.ravel(),
        own.last_s.ravel(),
        own.last_s.max(axis=1, initial=0),
        table,
    )
    return table


@kernel("f4(f8)")
def _percent(share: float) -> np.float32:
    if not share:
        return np.float32(0.0)
    return np.float32(np.log(1.0 + 100.0 * share) / 3.0)


@kernel(
    "void(i8[::1], f8[:, ::1], i4[:, ::1], f8[:, ::1], f8[::1], f8[::1], i8[::1], f8[::1], "
    "f8[::1], i8[::1], f8[::1], i8[::1], u2[::1], u4[::1], u4[::1], f4[:, ::1])"
)
def _describe(  # noqa: PLR0917  # columns
    start: Int64s,
    sums: Floats,
    places: Int32s,
    shares: Floats,
    slow: Floats,
    fast: Floats,
    category: Int64s,
    price: Floats,
    last_popularity: Floats,
    last_category: Int64s,
    last_price: Floats,
    session_length: Int64s,
    own_count: UInt16s,
    own_s: UInt32s,
    latest_s: UInt32s,
    table: Floats32,
) -> None:
    """Write the features of every candidate, user by user, into a row of zeros.

    What single precision shows of log(1 + x) a logarithm in double precision has right, in a third of log1p's
    time.
    """
    for user in range(start.size - 1):
        length = 0.5 * np.log1p(session_length[user])
        for one in range(start[user], start[user + 1]):
            row = table[one]
            for column in range(6):
                row[column] = _percent(shares[one, column])
            lag1, newest = _percent(shares[one, 6]), places[one, NEWEST]
            row[_RELOAD_SHARE if newest == 0 else _LAG1_SHARE] = lag1
            row[_TWO_STEPS] = _percent(sums[one, TWO_STEPS])
            row[_COOCCURRENCE] = _percent(sums[one, SCORE])
            row[_BASKET] = _percent(sums[one, BASKET])
            row[_RANK] = -0.5 * np.log(1.0 + one - start[user])
            row[_SUPPORT] = np.log(1.0 + places[one, SUPPORT])
            if newest >= 0:
                row[_SESSION_RECENCY] = 1.0 / (newest + 1.0)
                row[_IS_LAST] = newest == 0
                row[_IS_SECOND] = newest == 1
                row[_SESSION_COUNT] = np.log(1.0 + places[one, TOUCHES])
            own = places[one, OWN]
            if own >= 0:
                row[_OWN] = 1.0
                row[_OWN_COUNT] = np.log(1.0 + own_count[own])
                row[_OWN_AGE] = 0.1 * np.log(1.0 + np.float64(latest_s[user]) - own_s[own])
            log_slow, log_fast = 0.25 * _LN_2 * slow[one], 0.25 * _LN_2 * fast[one]
            row[_LOG_POPULARITY], row[_LOG_LATELY] = log_slow, log_fast
            row[_TREND] = log_fast - log_slow
            row[_LAST_POPULARITY] = last_popularity[user]
            row[_SESSION_LENGTH] = length
            if own < 0 and newest < 0 and places[one, SUPPORT] == 0 and sums[one, TWO_STEPS] == 0.0:
                row[_FALLBACK_POPULARITY] = log_fast
            row[_SAME_CATEGORY] = category[one] == last_category[user] and category[one] != 0
            if price[one] > 0.0 and last_price[user] > 0.0:
                row[_PRICE_GAP] = min(abs(np.log(price[one] / last_price[user])), 2.0)
