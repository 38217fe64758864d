"""Candidates for users' next touches, gathered for many users at once, with their features."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Floats, Int64s
from online_models.items.histories import Histories
from online_models.items.pairs import Floats32
from online_models.items.slots import BACKWARD, FORWARD, LAG1, WEIGHTS, Bools
from online_models.items.source import NeighbourSource

RANK_FEATURES: Final = (
    "forward",
    "backward",
    "lag1_share",
    "session_recency",
    "session_count",
    "is_last",
    "log_popularity",
    "log_lately",
    "rank",
    "session_length",
    "cooccurrence",
    "reload_share",
    "fallback_popularity",
    "same_category",
)
"""Order of the columns of `Candidates.features`, made so that a linear ranker can use them:

forward, backward, cooccurrence
    log(1 + 100 s) of the decayed pair weights s with the newest touches (partners that came after, before,
    both together), each divided by the touch's position and by powers of the popularities.
lag1_share, reload_share
    log(1 + 100 s) of the share s of the last item's touches that the candidate directly followed; in the
    second column where the candidate is the last item itself.
session_recency, session_count, is_last
    1 / position of the candidate's latest touch in this session, log(1 + its touches there), and whether it
    is the last item; 0 where it was not touched.
log_popularity, log_lately
    Natural logarithm of the touches decayed slowly and fast, at least -14.
rank
    Logarithm of 1 / rank by co-occurrence among the user's candidates.
session_length
    log(1 + touches in the session).
fallback_popularity
    log_lately where nothing but its popularity speaks for the candidate, else 0.
same_category
    Whether the candidate is of the last item's (known) category.
"""

(
    _FORWARD,
    _BACKWARD,
    _LAG1,
    _RECENCY,
    _COUNT,
    _IS_LAST,
    _POPULARITY,
    _LATELY,
    _RANK,
    _LENGTH,
    _COOCCURRENCE,
    _RELOAD,
    _FALLBACK,
    _SAME_CATEGORY,
) = range(len(RANK_FEATURES))

_SCALE: Final = 100.0
_LEAST_HEAT: Final = -20.0


@dataclass(frozen=True, slots=True)
class CandidateSettings:
    """Where candidates come from and how their scores are normalised.

    Parameters
    ----------
    positions
        Newest touches whose partners are candidates, 1 to 50; each counts 1 / position.
    source_power, partner_power
        Pair weights are divided by popularity to these powers, of the touched item and of the candidate.
    popular
        Popular-now items offered to everyone.

    Raises
    ------
    InvalidParameterError
        When a value is outside its range.
    """

    positions: int = 10
    source_power: float = 0.5
    partner_power: float = 0.25
    popular: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.positions <= 50:
            raise InvalidParameterError(f"positions must be 1 to 50, got {self.positions}")
        for name in ("source_power", "partner_power"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidParameterError(f"{name} must be 0 to 1, got {getattr(self, name)}")
        if self.popular < 0:
            raise InvalidParameterError(f"popular must be at least 0, got {self.popular}")


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of n users, user by user.

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

    Candidates are the partners of the newest items, these items themselves, the popular items of the last
    item's category, and what is popular now.

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
    size = max(source.size, 1)
    keys, weights = _entries(settings, touched, source, now_ms)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.ones(order.size, np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    begin = np.flatnonzero(first)
    distinct = ordered[begin]
    user, row = np.divmod(distinct, size)
    scores = np.add.reduceat(weights[order], begin, axis=0) if begin.size else weights
    start = np.searchsorted(user, np.arange(len(histories) + 1))
    features = np.zeros((row.size, len(RANK_FEATURES)), np.float32)
    _session_features(features, distinct, touched, histories, size)
    _popularity_features(features, row, source, now_ms)
    _score_features(features, scores, settings.partner_power)
    if touched.shape[1]:
        features[:, _SAME_CATEGORY] = _same_category(touched[:, 0], user, row, source)
    features[:, _RANK] = _log_ranks(features[:, _COOCCURRENCE], user, start)
    features[:, _LENGTH] = np.log1p(histories.session_length)[user]
    return Candidates(start, user, row, features)


class WeightedNeighbours(NamedTuple):
    """The partners of users' newest touches.

    Parameters
    ----------
    user, position
        (m,) whose touch it is, and which (0 = newest).
    row
        (m,) the touched item.
    partners
        (m, p) rows of its partners, -1 where there is none.
    weights
        (m, p, 3) forward and backward weight, decayed to the present, divided by position and the touched
        item's popularity; and the lag-1 share, for the newest touch only.
    """

    user: Int64s
    position: Int64s
    row: Int64s
    partners: Int64s
    weights: Floats


def weighted_neighbours(
    settings: CandidateSettings, touched: Int64s, source: NeighbourSource, now_ms: int
) -> WeightedNeighbours:
    """Return the partners of touched rows (n, r), newest first, -1 where unknown, with their weights."""
    user, position = np.nonzero(touched >= 0)
    row = touched[user, position]
    near = source.neighbours(row)
    instant = now_ms / source.settings.half_life_ms
    heat, _ = source.heat(row)
    lasting = np.maximum(heat - instant, _LEAST_HEAT)
    scale = np.exp2(near.instant - instant - settings.source_power * lasting) / (position + 1)
    weights = near.weights.astype(np.float64)
    weights[:, :, :LAG1] *= scale[:, None, None]
    weights[:, :, LAG1] *= (position == 0)[:, None]
    return WeightedNeighbours(user, position, row, near.partners, weights)


def _entries(
    settings: CandidateSettings, touched: Int64s, source: NeighbourSource, now_ms: int
) -> tuple[Int64s, Floats]:
    """Return (e,) keys, user times size plus row, and (e, 3) weights of everything that is offered."""
    near = weighted_neighbours(settings, touched, source, now_ms)
    size = max(source.size, 1)
    known = near.partners >= 0
    partners = (near.partners + (near.user * size)[:, None])[known]
    popular = source.popular()[: settings.popular]
    everyone = np.arange(len(touched))[:, None] * size
    keys = [partners, near.user * size + near.row, (everyone + popular).ravel()]
    if touched.shape[1]:
        alike = source.of_same_category(touched[:, 0])
        keys.append((everyone + alike)[alike >= 0])
    joined = np.concatenate(keys)
    weights = np.zeros((joined.size, WEIGHTS))
    weights[: partners.size] = near.weights[known]
    return joined, weights


def _session_features(
    features: Floats32, distinct: Int64s, touched: Int64s, histories: Histories, size: int
) -> None:
    in_session = np.arange(touched.shape[1]) < histories.in_session[:, None]
    user, position = np.nonzero((touched >= 0) & in_session)
    at = np.searchsorted(distinct, user * size + touched[user, position])
    # Newest last, so that an item's latest touch is what remains.
    features[at[::-1], _RECENCY] = 1.0 / (position[::-1] + 1)
    features[:, _COUNT] = np.log1p(np.bincount(at, minlength=distinct.size))
    features[:, _IS_LAST] = features[:, _RECENCY] == 1.0


def _popularity_features(features: Floats32, row: Int64s, source: NeighbourSource, now_ms: int) -> None:
    settings = source.settings
    slow, fast = source.heat(row)
    slow, fast = slow - now_ms / settings.half_life_ms, fast - now_ms / settings.lately_half_life_ms
    features[:, _POPULARITY] = np.log(2.0) * np.maximum(slow, _LEAST_HEAT)
    features[:, _LATELY] = np.log(2.0) * np.maximum(fast, _LEAST_HEAT)


def _score_features(features: Floats32, scores: Floats, partner_power: float) -> None:
    normal = np.exp(-partner_power * features[:, _POPULARITY])
    forward, backward = scores[:, FORWARD] * normal, scores[:, BACKWARD] * normal
    features[:, _FORWARD] = np.log1p(_SCALE * forward)
    features[:, _BACKWARD] = np.log1p(_SCALE * backward)
    features[:, _COOCCURRENCE] = np.log1p(_SCALE * (forward + backward))
    share = np.log1p(_SCALE * scores[:, LAG1])
    features[:, _RELOAD] = share * features[:, _IS_LAST]
    features[:, _LAG1] = share * (1.0 - features[:, _IS_LAST])
    unrelated = (features[:, _COOCCURRENCE] == 0.0) & (features[:, _RECENCY] == 0.0)
    features[:, _FALLBACK] = unrelated * features[:, _LATELY]


def _same_category(last: Int64s, user: Int64s, row: Int64s, source: NeighbourSource) -> Bools:
    wanted = np.where(last >= 0, source.categories(last), 0)[user]
    same: Bools = (wanted != 0) & (source.categories(row) == wanted)
    return same


def _log_ranks(score: Floats32, user: Int64s, start: Int64s) -> Floats:
    """Return log(1 / rank) of each candidate within its user, best first."""
    order = np.lexsort((-score, user)) if start.size > 2 else np.argsort(-score, kind="stable")
    ranks = np.empty(order.size)
    ranks[order] = np.arange(1, order.size + 1) - start[user]
    return -np.log(ranks)
