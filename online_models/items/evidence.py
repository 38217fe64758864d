"""What speaks for candidates: the partners of users' newest touches, one and two steps away."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.errors import InvalidParameterError
from online_models.events import Floats, Int64s
from online_models.items.pairs import Floats32
from online_models.items.slots import BACKWARD, FORWARD
from online_models.items.source import Int32s, NeighbourSource, present_heat
from online_models.kernels import kernel


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


class Steps(NamedTuple):
    """The strongest partners of q partners of touches.

    Parameters
    ----------
    owner
        (q,) whose they are, ascending.
    partners, weights
        (q, p) rows and (q, p, 3) weights, as the source has them; -1 where there are fewer.
    scale
        (q,) what makes weights the shares of touches that are reached.
    """

    owner: Int64s
    partners: Int32s
    weights: Floats32
    scale: Floats


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
    return WeightedNeighbours(
        in_order(user), in_order(position), in_order(near.partners), in_order(near.weights), scale, share
    )


def two_steps(
    settings: CandidateSettings, near: WeightedNeighbours, source: NeighbourSource, now_ms: int
) -> Steps:
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
    """
    width = settings.second_partners
    user, middle, speaks = _followed(
        near.user,
        near.position,
        near.partners,
        near.weights,
        near.share_scale,
        settings.second_positions,
        width,
    )
    steps = source.neighbours(middle, width)
    instant = now_ms / source.settings.half_life_ms
    touches = np.exp2(present_heat(source, middle, now_ms)) + 1.0
    scale = speaks * np.exp2(steps.instant - instant) / touches
    return Steps(user, in_order(steps.partners), in_order(steps.weights), scale)


@kernel("Tuple((i8[::1], i4[::1], f8[::1]))(i8[::1], i8[::1], i4[:, ::1], f4[:, :, ::1], f8[::1], i8, i8)")
def _followed(  # noqa: PLR0917  # columns
    user: Int64s,
    position: Int64s,
    partners: Int32s,
    weights: Floats32,
    share_scale: Floats,
    positions: int,
    width: int,
) -> tuple[Int64s, Int32s, Floats]:
    """Return the first partners of the newest touches: whose, which, and how much speaks for them."""
    width = min(width, partners.shape[1])
    most = user.size * width
    owner, middle, speaks = np.empty(most, np.int64), np.empty(most, np.int32), np.empty(most)
    end = 0
    for touch in range(user.size):
        if position[touch] >= positions:
            continue
        share = share_scale[touch] / (position[touch] + 1)
        for place in range(width):
            if partners[touch, place] >= 0:
                both = weights[touch, place, FORWARD] + weights[touch, place, BACKWARD]
                owner[end], middle[end], speaks[end] = user[touch], partners[touch, place], both * share
                end += 1
    return owner[:end], middle[:end], speaks[:end]


def in_order(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the same as kernels want it: some indexing leaves its result in another order of memory."""
    return np.ascontiguousarray(values)
