"""Candidates for users' next touches, gathered for many users at once, with the features they are ranked by."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Floats, Int64s
from online_models.items.histories import Histories
from online_models.items.neighbours import NeighbourSource
from online_models.items.pairs import Floats32

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
)
"""Order of the columns of `Candidates.features`."""


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
    keys, weights = _entries(settings, touched, source, now_ms)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.empty(order.size, np.bool_)
    first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    begin = np.flatnonzero(first)
    unique = ordered[begin]
    user, row = np.divmod(unique, max(source.size, 1))
    scores = np.add.reduceat(weights[order], begin, axis=0) if begin.size else weights
    start = np.searchsorted(user, np.arange(len(histories) + 1))
    features = np.empty((row.size, len(RANK_FEATURES)), np.float32)
    _score_features(features, scores, row, settings, source, now_ms)
    _session_features(features, unique, touched, histories, source.size)
    features[:, 8] = _ranks(scores[:, 0] + scores[:, 1], user, start)
    features[:, 9] = np.log1p(histories.session_length)[user]
    return Candidates(start, user, row, features)


def _entries(
    settings: CandidateSettings, touched: Int64s, source: NeighbourSource, now_ms: int
) -> tuple[Int64s, Floats]:
    """Return (e,) keys, user times size plus row, and (e, 3) weights of everything that is offered."""
    users, positions = np.nonzero(touched >= 0)
    rows = touched[users, positions]
    size = max(source.size, 1)
    near = source.neighbours(rows)
    instant = now_ms / source.settings.half_life_ms
    heat, _ = source.heat(rows)
    scale = np.exp2(near.instant - instant - settings.source_power * np.maximum(heat - instant, -20.0))
    scale /= positions + 1
    weights = near.weights.astype(np.float64)
    weights[:, :, :2] *= scale[:, None, None]
    weights[positions > 0, :, 2] = 0.0
    known = near.partners >= 0
    keys = (near.partners + (users * size)[:, None])[known]
    everyone = np.arange(len(touched))
    popular = source.popular()[: settings.popular]
    alike = source.of_same_category(touched[:, 0]) if touched.shape[1] else touched
    alike_user, at = np.nonzero(alike >= 0)
    extra = np.concatenate(
        (
            users * size + rows,
            (everyone[:, None] * size + popular).ravel(),
            alike_user * size + alike[alike_user, at],
        )
    )
    return np.concatenate((keys, extra)), np.concatenate((weights[known], np.zeros((extra.size, 3))))


def _score_features(
    features: Floats32,
    scores: Floats,
    row: Int64s,
    settings: CandidateSettings,
    source: NeighbourSource,
    now_ms: int,
) -> None:
    slow, fast = source.heat(row)
    slow = np.maximum(slow - now_ms / source.settings.half_life_ms, -20.0)
    fast = np.maximum(fast - now_ms / source.settings.lately_half_life_ms, -20.0)
    scores[:, :2] *= np.exp2(-settings.partner_power * slow)[:, None]
    features[:, 0:2] = scores[:, :2]
    features[:, 2] = scores[:, 2]
    features[:, 6] = slow
    features[:, 7] = fast


def _session_features(
    features: Floats32, unique: Int64s, touched: Int64s, histories: Histories, size: int
) -> None:
    features[:, 3:6] = 0.0
    users, positions = np.nonzero(
        (touched >= 0) & (np.arange(touched.shape[1]) < histories.in_session[:, None])
    )
    at = np.searchsorted(unique, users * max(size, 1) + touched[users, positions])
    np.maximum.at(features[:, 3], at, (1.0 / (positions + 1)).astype(np.float32))
    np.add.at(features[:, 4], at, np.float32(1.0))
    features[at[positions == 0], 5] = 1.0


def _ranks(score: Floats, user: Int64s, start: Int64s) -> Floats:
    """Return 1 / rank of each candidate within its user, best first."""
    order = np.lexsort((-score, user)) if start.size > 2 else np.argsort(-score, kind="stable")
    ranks = np.empty(order.size)
    ranks[order] = np.arange(order.size) - start[user] + 1.0
    return 1.0 / ranks
