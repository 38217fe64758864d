"""What speaks for a candidate: partners of the newest touches, one and two steps away, own items, popularity.

Everything is gathered for many users at once. A candidate's entries are sorted by user, item and source, so
that sums are taken in one order however many users there are.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Floats, Int64s
from online_models.items.slots import BACKWARD, FORWARD, LAG1
from online_models.items.source import Neighbourhood, NeighbourSource

LEAST_HEAT: Final = -20.0
_NO_SOURCE: Final = 64
"""Sources below it are positions of touches; this one and the next bring candidates without weight."""
_TWO_STEPS: Final = 65
_SOURCE_BITS: Final = 7


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
    row
        (m,) the touched item.
    partners
        (m, p) rows of its partners, -1 where there is none.
    weights
        (m, p, 3) forward and backward weight, decayed to the present, divided by position and the touched
        item's popularity; and the lag-1 share, for the newest touch only.
    share_scale
        (m,) what makes weights shares of the item's touches: shrunk where there are few.
    """

    user: Int64s
    position: Int64s
    row: Int64s
    partners: Int64s
    weights: Floats
    share_scale: Floats


class Evidence(NamedTuple):
    """What speaks for c candidates of n users, by user and item.

    Parameters
    ----------
    user, row
        (c,) the candidate, ascending by user and row.
    score
        (c,) all pair weights with the newest touches, normalised by position and popularity.
    forward, backward
        (c, 3) share of touches of the last item, of the one before and of older ones together, that the
        candidate came after or before; k steps apart counting 1/k.
    lag1
        (c,) share of the last item's touches that the candidate directly followed.
    support
        (c,) of how many of the newest touches it is a partner.
    two_steps
        (c,) share of touches two steps away from the newest touches.
    """

    user: Int64s
    row: Int64s
    score: Floats
    forward: Floats
    backward: Floats
    lag1: Floats
    support: Int64s
    two_steps: Floats

    def take(self, rows: Int64s) -> "Evidence":
        """Return the given candidates."""
        return Evidence(
            user=self.user[rows],
            row=self.row[rows],
            score=self.score[rows],
            forward=self.forward[rows],
            backward=self.backward[rows],
            lag1=self.lag1[rows],
            support=self.support[rows],
            two_steps=self.two_steps[rows],
        )


def weighted_neighbours(
    settings: CandidateSettings, touched: Int64s, source: NeighbourSource, now_ms: int
) -> WeightedNeighbours:
    """Return the partners of touched rows (n, r), newest first, -1 where unknown, with their weights."""
    user, position = np.nonzero(touched >= 0)
    row = touched[user, position]
    near = source.neighbours(row)
    instant = now_ms / source.settings.half_life_ms
    heat, _ = source.heat(row)
    lasting = np.maximum(heat - instant, LEAST_HEAT)
    decay = np.exp2(near.instant - instant)
    scale = decay * np.exp2(-settings.source_power * lasting) / (position + 1)
    weights = near.weights.astype(np.float64)
    weights[:, :, :LAG1] *= scale[:, None, None]
    weights[:, :, LAG1] *= (position == 0)[:, None]
    back = np.exp2(settings.source_power * lasting) * (position + 1)
    share = back / (np.exp2(lasting) + 1.0) / np.maximum(position - 1, 1)
    return WeightedNeighbours(user, position, row, near.partners, weights, share)


def collect(
    settings: CandidateSettings, touched: Int64s, own: Int64s, source: NeighbourSource, now_ms: int
) -> Evidence:
    """Return everything that speaks for anything, candidates for which nothing speaks included.

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
    known = near.partners >= 0
    far, far_share = two_steps(settings, near, source, now_ms)
    offered = _offered(settings, touched, own, source)
    entry_of = (near.partners + (near.user * size)[:, None] << _SOURCE_BITS) + near.position[:, None]
    others = (far << _SOURCE_BITS) + _TWO_STEPS, (offered << _SOURCE_BITS) + _NO_SOURCE
    keys = np.concatenate((entry_of[known], *others))
    weights = near.weights[known]
    scale = np.broadcast_to(near.share_scale[:, None], known.shape)[known]
    order = np.argsort(keys)
    ordered = keys[order]
    candidate, code = ordered >> _SOURCE_BITS, ordered & ((1 << _SOURCE_BITS) - 1)
    first = np.ones(order.size, np.bool_)
    np.not_equal(candidate[1:], candidate[:-1], out=first[1:])
    at = np.cumsum(first) - 1
    user, row = np.divmod(candidate[first], size)
    near_by = code < _NO_SOURCE
    entry, target, position = order[near_by], at[near_by], np.minimum(code[near_by], 2)
    reached = np.zeros(row.size)
    is_far = code == _TWO_STEPS
    reached[at[is_far]] = far_share[order[is_far] - entry.size]
    weights, scale = weights[entry], scale[entry]
    lag1 = np.zeros(row.size)
    newest = position == 0
    lag1[target[newest]] = weights[newest, LAG1]
    place = target * 3 + position
    return Evidence(
        user=user,
        row=row,
        score=_sums(target, weights[:, FORWARD] + weights[:, BACKWARD], row.size),
        forward=_sums(place, weights[:, FORWARD] * scale, row.size * 3).reshape(-1, 3),
        backward=_sums(place, weights[:, BACKWARD] * scale, row.size * 3).reshape(-1, 3),
        lag1=lag1,
        support=np.bincount(target, minlength=row.size),
        two_steps=reached,
    )


def _offered(settings: CandidateSettings, touched: Int64s, own: Int64s, source: NeighbourSource) -> Int64s:
    """Return keys (user times size plus row) of what is offered without pair weights, each once."""
    size = max(source.size, 1)
    everyone = np.arange(len(touched))[:, None] * size
    offers = [touched, own]
    if touched.shape[1]:
        offers.append(source.of_same_category(touched[:, 0]))
    keys = [(everyone + rows)[rows >= 0] for rows in offers]
    popular = source.popular()[: settings.popular]
    return np.unique(np.concatenate([*keys, (everyone + popular).ravel()]))


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
        (d,) distinct keys, user times the source's size plus row, ascending; (d,) their shares of touches.
    """
    size, width = max(source.size, 1), settings.second_partners
    begin = np.flatnonzero(near.position < settings.second_positions)
    partners, weights = _strongest(near.partners[begin], near.weights[begin], width)
    weights = weights * near.share_scale[begin][:, None] / (near.position[begin] + 1)[:, None]
    known = partners >= 0
    middle, owner = partners[known], np.repeat(near.user[begin], known.sum(axis=1))
    steps: Neighbourhood = source.neighbours(middle)
    ends, shares = _strongest(steps.partners, steps.weights.astype(np.float64), width)
    instant = now_ms / source.settings.half_life_ms
    touches = np.exp2(np.maximum(source.heat(middle)[0] - instant, LEAST_HEAT)) + 1.0
    shares = shares * (weights[known] * np.exp2(steps.instant - instant) / touches)[:, None]
    reached = ends >= 0
    keys = ((owner * size)[:, None] + ends)[reached]
    distinct, back = np.unique(keys, return_inverse=True)
    return distinct, _sums(back, shares[reached], distinct.size)


def _strongest(partners: Int64s, weights: Floats, count: int) -> tuple[Int64s, Floats]:
    """Return the `count` partners with most weight in both directions, and that weight."""
    both = np.where(partners >= 0, weights[:, :, FORWARD] + weights[:, :, BACKWARD], -1.0)
    if partners.shape[1] > count:
        best = np.argpartition(-both, count - 1, axis=1)[:, :count]
        partners, both = np.take_along_axis(partners, best, 1), np.take_along_axis(both, best, 1)
    return partners, both


def _sums(group: Int64s, values: Floats, groups: int) -> Floats:
    """Return the sum of each group, added up in the order given."""
    return np.bincount(group, values, groups).astype(np.float64)
