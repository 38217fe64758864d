"""How a list is made less monotonous: maximal marginal relevance, caps by category, popularity damping."""

from typing import Final

import numpy as np

from online_models.events import Floats, Int64s
from online_models.items.policy import PolicySettings
from online_models.items.slots import BACKWARD, FORWARD, Bools
from online_models.items.source import NeighbourSource, present_heat
from online_models.kernels import kernel

_LN_2: Final = float(np.log(2.0))
_SAME_CATEGORY: Final = 0.5
"""Similarity of two items of which nothing is known but that they are of one category."""
_BEHIND: Final = 4.0
"""Relevance and similarity lie between 0 and 1, so less than this apart."""


def damping(strength: float, rows: Int64s, source: NeighbourSource, now_ms: int) -> Floats:
    """Return (c,) what popularity takes off the scores of candidates: strength times log(1 + touches).

    Parameters
    ----------
    strength
        0 takes nothing off; 1 divides the odds by the popularity.
    rows, source
        The candidates, and where their rows belong.
    now_ms
        Present event time, epoch milliseconds; touches are decayed to it.
    """
    if not strength or not rows.size:
        return np.zeros(rows.size)
    return np.asarray(strength * np.log1p(np.exp2(present_heat(source, rows, now_ms))))


def arrange(
    settings: PolicySettings,
    rows: Int64s,
    scores: Floats,
    categories: Int64s,
    source: NeighbourSource,
    *,
    k: int,
    now_ms: int,
) -> Int64s:
    """Return the places (n, k) of the ranked rows that make the lists, in order.

    Without diversity the ranking stays as it is, but for the cap: a category keeps its best items up to its
    share of the list, and what exceeds it moves behind everything else. With it, items are taken one by one,
    each time the one with the largest ``(1 - d) relevance - d max similarity to those taken`` [1]_.
    Relevance is the score between the last and the first of the ranking, 0 to 1.

    Parameters
    ----------
    settings
        Diversity d, and the share of a category.
    rows
        (n, c) ranked rows, -1 where there are fewer; c is at least k.
    scores
        (n, c) their scores.
    categories
        (n, c) their category codes, 0 where unknown.
    source, now_ms
        Where partners are read, and present event time, epoch milliseconds.
    k
        Length of a list.

    References
    ----------
    .. [1] Carbonell, Goldstein: The use of MMR, diversity-based reranking for reordering documents, 1998.
    """
    cap = max(1, int(np.ceil(k * settings.category_share)))
    if settings.diversity:
        alike = similarity(rows, categories, source, now_ms)
        return _marginal(settings.diversity, relevance(rows, scores), alike, rows, categories, cap=cap)[:, :k]
    return _capped(rows, categories, cap, min(k, rows.shape[1]))


@kernel("i8[:, ::1](i8[:, ::1], i8[:, ::1], i8, i8)")
def _capped(rows: Int64s, categories: Int64s, cap: int, k: int) -> Int64s:
    """Return (n, k) places of ranked rows: categories up to their cap, what exceeds it, what is no item."""
    users, width = rows.shape
    places = np.empty((users, k), np.int64)
    order = np.empty(width, np.int64)
    turn = np.empty(width, np.int64)
    for user in range(users):
        for place in range(width):
            category, held = categories[user, place], 0
            for other in range(place if category else 0):
                held += categories[user, other] == category
            turn[place] = 2 if rows[user, place] < 0 else held >= cap
        end = 0
        for wanted in range(3):
            for place in range(width):
                if turn[place] == wanted:
                    order[end] = place
                    end += 1
        places[user] = order[:k]
    return places


def relevance(rows: Int64s, scores: Floats) -> Floats:
    """Return (n, c) scores between 0, the last of a ranking, and 1, the first.

    >>> relevance(np.array([[4, 5, 6]]), np.array([[3.0, 2.0, 1.0]])).tolist()
    [[1.0, 0.5, 0.0]]
    """
    held = rows >= 0
    high = np.where(held, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    low = np.where(held, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    span = np.where(high > low, high - low, 1.0)
    with np.errstate(invalid="ignore"):
        return np.where(held, (scores - low) / span, 0.0)


def similarity(rows: Int64s, categories: Int64s, source: NeighbourSource, now_ms: int) -> Floats:
    """Return (n, c, c) how alike the items of each ranking are, 0 to 1, symmetric, 1 with themselves.

    The larger of one half where both are of one known category, and the cosine of their touches: pair weight
    over the root of both popularities.
    """
    alike = np.where(_of_one_category(categories), _SAME_CATEGORY, 0.0)
    user, place = np.nonzero(rows >= 0)
    held = rows[user, place]
    near = source.neighbours(held)
    instant = now_ms / source.settings.half_life_ms
    keys = user * source.size + held
    order = np.argsort(keys)
    wanted = np.where(near.partners >= 0, user[:, None] * source.size + near.partners, -1)
    at = np.minimum(np.searchsorted(keys, wanted, sorter=order), max(keys.size - 1, 0))
    entry, slot = np.nonzero((keys[order[at]] == wanted) if keys.size else np.zeros(wanted.shape, np.bool_))
    other = order[at[entry, slot]]
    weight = near.weights[entry, slot, FORWARD] + near.weights[entry, slot, BACKWARD]
    touches = present_heat(source, held, now_ms)
    log_share = (near.instant - instant)[entry] - 0.5 * (touches[entry] + touches[other])
    cosine = np.minimum(weight * np.exp(_LN_2 * np.minimum(log_share, 60.0)), 1.0)
    np.maximum.at(alike, (user[entry], place[entry], place[other]), cosine)
    alike = np.maximum(alike, alike.transpose(0, 2, 1))
    itself = np.arange(rows.shape[1])
    alike[:, itself, itself] = 1.0
    return alike


def _of_one_category(categories: Int64s) -> Bools:
    """Return (n, c, c) which two items of each ranking are of one known category."""
    return np.asarray(
        (categories[:, :, None] == categories[:, None, :]) & (categories != 0)[:, :, None], np.bool_
    )


def _marginal(
    strength: float, relevant: Floats, alike: Floats, rows: Int64s, categories: Int64s, *, cap: int
) -> Int64s:
    """Return the places of all rows in the order in which they are taken."""
    users, width = rows.shape
    everyone = np.arange(users)
    worth = np.where(rows >= 0, (1.0 - strength) * relevant, -2 * _BEHIND)
    closest = np.zeros((users, width))
    taken = np.zeros((users, width), np.bool_)
    held = np.zeros((users, width))
    places = np.zeros((users, width), np.int64)
    for turn in range(width):
        value = worth - strength * closest - np.where(held >= cap, _BEHIND, 0.0)
        best = np.where(taken, -np.inf, value).argmax(axis=1)
        places[:, turn] = best
        taken[everyone, best] = True
        closest = np.maximum(closest, alike[everyone, best])
        category = categories[everyone, best][:, None]
        held += (categories == category) & (category != 0)
    return places
