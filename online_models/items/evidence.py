"""What speaks for a candidate: partners of the newest touches, one and two steps away, own items, popularity.

Everything is gathered for many users at once. What speaks for a candidate is summed in the order in which it
was gathered, user by user, so that sums do not depend on how many users there are.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Floats, Int64s
from online_models.items.grouping import distinct
from online_models.items.pairs import Floats32
from online_models.items.slots import BACKWARD, FORWARD, WEIGHTS
from online_models.items.source import Int32s, NeighbourSource, present_heat


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
    second_positions, second_partners
        Newest touches from which two steps are taken, and how many partners are followed in each step.
    kept
        Candidates of a user that a ranker is shown, at least 1: those for which most speaks.

    Raises
    ------
    InvalidParameterError
        When a value is outside its range.
    """

    positions: int = 10
    source_power: float = 0.5
    partner_power: float = 0.25
    popular: int = 30
    second_positions: int = 2
    second_partners: int = 10
    kept: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.positions <= 50:
            raise InvalidParameterError(f"positions must be 1 to 50, got {self.positions}")
        for name in ("source_power", "partner_power"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidParameterError(f"{name} must be 0 to 1, got {getattr(self, name)}")
        for name, least in (("popular", 0), ("second_positions", 0), ("second_partners", 1), ("kept", 1)):
            if getattr(self, name) < least:
                raise InvalidParameterError(f"{name} must be at least {least}, got {getattr(self, name)}")


class WeightedNeighbours(NamedTuple):
    """The partners of users' newest touches.

    Parameters
    ----------
    user, position
        (m,) whose touch it is, and which (0 = newest).
    partners
        (m, p) rows of its partners, strongest first, -1 where there is none.
    weights
        (m, p, 3) forward weight, backward weight and lag-1 share, as the source has them.
    scale
        (m,) what decays weights to the present and divides them by position and the item's popularity.
    share_scale
        (m,) what makes weights shares of the item's touches: shrunk where there are few, and divided by the
        distance from the third newest on.
    """

    user: Int64s
    position: Int64s
    partners: Int32s
    weights: Floats32
    scale: Floats
    share_scale: Floats


class Pool(NamedTuple):
    """Everything that is offered to n users, c candidates in no order, with what speaks for each.

    Parameters
    ----------
    user, row
        (c,) the candidate; each once.
    score
        (c,) all pair weights with the newest touches, normalised by position and popularity.
    basket
        (c,) the same as a cosine, whatever the position.
    two_steps
        (c,) share of touches two steps away from the newest touches.
    near
        The partners of the newest touches.
    entry, entry_of
        (e,) places in ``near.partners``, flattened, where there is a partner, and the candidate it is.
    touch, touch_of
        (t,) places in the touched rows, flattened, of known items, and the candidate each is.
    own, own_of
        (o,) the same of own items.
    """

    user: Int64s
    row: Int64s
    score: Floats
    basket: Floats
    two_steps: Floats
    near: WeightedNeighbours
    entry: Int64s
    entry_of: Int64s
    touch: Int64s
    touch_of: Int64s
    own: Int64s
    own_of: Int64s


class Evidence(NamedTuple):
    """What speaks for k candidates that are kept.

    Parameters
    ----------
    user, row
        (k,) the candidate.
    score
        (k,) all pair weights with the newest touches, normalised by position and popularity.
    basket
        (k,) the same as a cosine, whatever the position.
    forward, backward
        (k, 3) share of touches of the last item, of the one before and of older ones together, that the
        candidate came after or before; d steps apart counting 1/d.
    lag1
        (k,) share of the last item's touches that the candidate directly followed.
    support
        (k,) of how many of the newest touches it is a partner.
    two_steps
        (k,) share of touches two steps away from the newest touches.
    own
        (k,) place of the candidate among the own items of all users, flattened; -1 where it is none.
    newest, touches
        (k,) position of its latest touch in this session, -1 without one, and how many touches.
    """

    user: Int64s
    row: Int64s
    score: Floats
    basket: Floats
    forward: Floats
    backward: Floats
    lag1: Floats
    support: Int64s
    two_steps: Floats
    own: Int64s
    newest: Int64s
    touches: Int64s


def weighted_neighbours(
    settings: CandidateSettings, touched: Int64s, source: NeighbourSource, now_ms: int
) -> WeightedNeighbours:
    """Return the partners of touched rows (n, r), newest first, -1 where unknown, with their weights."""
    user, position = np.nonzero(touched >= 0)
    row = touched[user, position]
    near = source.neighbours(row)
    instant = now_ms / source.settings.half_life_ms
    lasting = present_heat(source, row, now_ms)
    decay = np.exp2(near.instant - instant)
    scale = decay * np.exp2(-settings.source_power * lasting) / (position + 1)
    share = decay / (np.exp2(lasting) + 1.0) / np.maximum(position - 1, 1)
    return WeightedNeighbours(user, position, near.partners, near.weights, scale, share)


def collect(
    settings: CandidateSettings, touched: Int64s, own: Int64s, source: NeighbourSource, now_ms: int
) -> Pool:
    """Return everything that is offered, candidates for which nothing speaks included.

    Parameters
    ----------
    settings
        Sources and normalisation.
    touched
        (n, r) rows of the newest touches, newest first, -1 where unknown.
    own
        (n, k) rows of what the users touched in any session, -1 where unknown.
    source
        Where partners and popularity are read.
    now_ms
        Present event time, epoch milliseconds.
    """
    near = weighted_neighbours(settings, touched, source, now_ms)
    size = max(source.size, 1)
    entry = np.flatnonzero(near.partners >= 0)
    entry_keys = (near.partners + (near.user * size)[:, None]).ravel()[entry]
    far_keys, far_share = two_steps(settings, near, source, now_ms)
    (touch, touch_keys), (own_at, own_keys) = _keys(touched, size), _keys(own, size)
    offered = _offered(settings, touched, source)
    keys = np.concatenate((entry_keys, far_keys, touch_keys, own_keys, offered))
    last, group = distinct(keys)
    of_entry, of_far, of_touch, of_own, _ = np.split(
        group, np.cumsum([entry.size, far_keys.size, touch.size, own_at.size])
    )
    user, row = np.divmod(keys[last], size)
    both = (near.weights[:, :, FORWARD] + near.weights[:, :, BACKWARD]) * near.scale[:, None]
    score = _sums(of_entry, both.ravel()[entry], row.size)
    basket = _sums(of_entry, (both * (near.position + 1)[:, None]).ravel()[entry], row.size)
    far = _sums(of_far, far_share, row.size)
    return Pool(user, row, score, basket, far, near, entry, of_entry, touch, of_touch, own_at, of_own)


def weigh(pool: Pool, kept: Int64s, in_session: Int64s, width: int) -> Evidence:
    """Return what speaks for the candidates that are kept.

    Parameters
    ----------
    pool
        Everything offered.
    kept
        (k,) candidates of the pool.
    in_session
        (n,) how many of each user's newest touches belong to the present session.
    width
        Newest touches that were looked at.
    """
    place = np.full(pool.row.size, -1)
    place[kept] = np.arange(kept.size)
    near = pool.near
    target = place[pool.entry_of]
    listed = np.flatnonzero(target >= 0)
    target, entry = target[listed], pool.entry[listed]
    touch = entry // max(near.partners.shape[1], 1)
    position, share = near.position[touch], near.share_scale[touch]
    forward, backward, lag1 = near.weights.reshape(-1, WEIGHTS)[entry].T.astype(np.float64)
    cell = target * 3 + np.minimum(position, 2)
    newest = np.flatnonzero(position == 0)
    followed = np.zeros(kept.size)
    followed[target[newest]] = lag1[newest]
    # What is not kept has place -1: it is written to the end, which is cut off.
    own = np.full(kept.size + 1, -1)
    own[place[pool.own_of]] = pool.own
    latest, touches = _session(pool, place, kept.size, in_session, width)
    return Evidence(
        user=pool.user[kept],
        row=pool.row[kept],
        score=pool.score[kept],
        basket=pool.basket[kept],
        forward=_sums(cell, forward * share, kept.size * 3).reshape(-1, 3),
        backward=_sums(cell, backward * share, kept.size * 3).reshape(-1, 3),
        lag1=followed,
        support=np.bincount(target, minlength=kept.size),
        two_steps=pool.two_steps[kept],
        own=own[:-1],
        newest=latest,
        touches=touches,
    )


def two_steps(
    settings: CandidateSettings, near: WeightedNeighbours, source: NeighbourSource, now_ms: int
) -> tuple[Int64s, Floats]:
    """Return the partners' strongest partners and how much speaks for them.

    Parameters
    ----------
    settings
        How many touches and partners are followed.
    near
        The partners of the newest touches.
    source
        Where partners and popularity are read.
    now_ms
        Present event time, epoch milliseconds.

    Returns
    -------
    tuple
        (d,) keys, user times the source's size plus row, as often as they are reached; (d,) their shares of
        touches.
    """
    size, width = max(source.size, 1), settings.second_partners
    begin = np.flatnonzero(near.position < settings.second_positions)
    partners, weights = near.partners[begin, :width], near.weights[begin, :width]
    share = near.share_scale[begin] / (near.position[begin] + 1)
    speaks = (weights[:, :, FORWARD] + weights[:, :, BACKWARD]) * share[:, None]
    known = np.flatnonzero(partners >= 0)
    middle = partners.ravel()[known]
    owner = near.user[begin][known // max(partners.shape[1], 1)]
    steps = source.neighbours(middle, width)
    instant = now_ms / source.settings.half_life_ms
    touches = np.exp2(present_heat(source, middle, now_ms)) + 1.0
    scale = speaks.ravel()[known] * np.exp2(steps.instant - instant) / touches
    shares = (steps.weights[:, :, FORWARD] + steps.weights[:, :, BACKWARD]) * scale[:, None]
    reached = np.flatnonzero(steps.partners >= 0)
    keys = (steps.partners + (owner * size)[:, None]).ravel()[reached]
    return keys, shares.ravel()[reached]


def _session(pool: Pool, place: Int64s, kept: int, in_session: Int64s, width: int) -> tuple[Int64s, Int64s]:
    """Return the position of each kept candidate's latest touch in its session, and how many it has there."""
    user, position = np.divmod(pool.touch, max(width, 1))
    target = place[pool.touch_of]
    present = np.flatnonzero((target >= 0) & (position < in_session[user]))
    target, position = target[present], position[present]
    newest = np.full(kept, -1)
    # Newest first: written backwards, the latest touch of an item stays.
    newest[target[::-1]] = position[::-1]
    return newest, np.bincount(target, minlength=kept)


def _keys(rows: Int64s, size: int) -> tuple[Int64s, Int64s]:
    """Return the places of known rows (n, k), flattened, and their keys: user times size plus row."""
    places = np.flatnonzero(rows >= 0)
    return places, rows.ravel()[places] + places // max(rows.shape[1], 1) * size


def _offered(settings: CandidateSettings, touched: Int64s, source: NeighbourSource) -> Int64s:
    """Return keys of what is offered by its popularity: in the last item's category, and to everyone."""
    size = max(source.size, 1)
    everyone = np.arange(len(touched))[:, None] * size
    popular = (everyone + source.popular()[: settings.popular]).ravel()
    if not touched.shape[1]:
        return popular
    return np.concatenate((_keys(source.of_same_category(touched[:, 0]), size)[1], popular))


def _sums(group: Int64s, values: Floats, groups: int) -> Floats:
    """Return the sum of each group, added up in the order given."""
    return np.bincount(group, values, groups).astype(np.float64)
