"""The shop's users: when they come, what they like, and why they leave."""

from typing import Final

import numpy as np
import numpy.typing as npt

from streams.sources.simulator.config import DAY_MS, ShopConfig
from streams.sources.simulator.truth import BORED, REASONS, STAYS, UserTruth

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NEVER: Final = np.iinfo(np.int64).max
FAVOURITES: Final = 3
HOUR_MS: Final = 3_600_000
_FADING_GAP: Final = 1.7
_SHORTEST_GAP_MS: Final = 2 * HOUR_MS
_ROW: Final = np.dtype(
    [
        ("next_ms", np.int64),
        ("gap_ms", np.float64),
        ("boredom", np.float64),
        ("hour", np.float64),
        ("thrift", np.float64),
        ("favourites", np.int64, (FAVOURITES,)),
        ("fading", np.int64),
        ("reason", np.int64),
        ("left_ms", np.int64),
        ("arrived_ms", np.int64),
        ("last_ms", np.int64),
        ("last_item", np.int64),
    ]
)


class Population:
    """Users as rows; a row is never reused.

    Parameters
    ----------
    config
        How many there are and how they behave.
    rng
        Source of randomness.
    """

    def __init__(self, config: ShopConfig, rng: np.random.Generator) -> None:
        self._config = config
        self.rows = np.zeros(0, _ROW)
        self.boredom_factor = 1.0
        self.arrive(config.users, config.start_ms, rng)
        rows = self.rows
        # Those of the start are between two visits of theirs.
        rows["next_ms"] = config.start_ms + (rows["gap_ms"] * rng.random(len(rows))).astype(np.int64)

    def arrive(self, count: int, day_ms: int, rng: np.random.Generator) -> None:
        """Add users whose first session lies somewhere in the day."""
        config = self._config
        rows = np.zeros(count, _ROW)
        rows["next_ms"] = day_ms + rng.integers(0, DAY_MS, count)
        rows["gap_ms"] = (config.gap_days * DAY_MS * rng.lognormal(0, 0.7, count)).clip(
            DAY_MS / 3, 40 * DAY_MS
        )
        if config.boredom:
            rows["boredom"] = rng.beta(0.8, 0.8 / config.boredom - 0.8, count)
        rows["hour"] = np.where(rng.random(count) < 0.4, 12.5, 20.0) + rng.normal(0, 1.5, count)
        rows["thrift"] = rng.random(count)
        rows["favourites"] = _tastes(count, config.categories, rng)
        rows["arrived_ms"] = -1
        rows["last_item"] = -1
        self.rows = np.concatenate((self.rows, rows))

    def due(self, before_ms: int) -> Ints:
        """Return the users whose next session begins before a moment."""
        return np.flatnonzero(self.rows["next_ms"] < before_ms)

    def shift_tastes(self, rng: np.random.Generator) -> None:
        """Give everybody two new favourite categories."""
        fresh = _tastes(len(self.rows), self._config.categories, rng)
        self.rows["favourites"][:, :2] = fresh[:, :2]

    def lose_interest(self, users: Ints, rng: np.random.Generator) -> None:
        """Let some of the users begin to fade: their last sessions are few and far between."""
        chance = self.rows["boredom"][users] * self.boredom_factor
        fresh = users[(rng.random(len(users)) < chance) & (self.rows["fading"][users] == 0)]
        self.rows["fading"][fresh] = 1 + rng.geometric(0.5, len(fresh))

    def leave(self, users: Ints, reason: int, left_ms: Ints) -> None:
        """End the users' stay; who has left stays as before."""
        staying = self.rows["reason"][users] == STAYS
        users = users[staying]
        self.rows["reason"][users] = reason
        self.rows["left_ms"][users] = np.maximum(left_ms[staying], self.rows["last_ms"][users])
        self.rows["next_ms"][users] = NEVER

    def come_again(self, users: Ints, end_ms: Ints, rng: np.random.Generator) -> None:
        """After a session: plan the next one, or leave when the interest is used up."""
        rows = self.rows
        fading = rows["fading"][users]
        done = fading == 1
        self.leave(users[done], BORED, end_ms[done])
        goes_on = rows["reason"][users] == STAYS
        users, end_ms, fading = users[goes_on], end_ms[goes_on], fading[goes_on]
        rows["fading"][users] = np.maximum(fading - 1, 0)
        gap = rng.gamma(2.0, rows["gap_ms"][users] / 2) * np.where(fading > 0, _FADING_GAP, 1.0)
        rows["next_ms"][users] = self._at_their_hour(users, end_ms, gap, rng)

    def _at_their_hour(self, users: Ints, end_ms: Ints, gap: Floats, rng: np.random.Generator) -> Ints:
        earliest = end_ms + _SHORTEST_GAP_MS
        planned = end_ms + gap.astype(np.int64)
        hour = (self.rows["hour"][users] + rng.normal(0, 2, len(users))) % 24
        start = self._config.start_ms
        moved = start + (planned - start) // DAY_MS * DAY_MS + (hour * HOUR_MS).astype(np.int64)
        found: Ints = np.maximum(moved, earliest + rng.integers(0, HOUR_MS, len(users)))
        return found

    def truth(self, end_ms: int) -> list[UserTruth]:
        """Return what became of everybody before a moment."""
        rows = self.rows
        columns = (rows[name].tolist() for name in ("arrived_ms", "left_ms", "reason", "gap_ms"))
        return [
            UserTruth(
                user_name(index),
                arrived if arrived < end_ms else -1,
                left if reason != STAYS and left < end_ms else None,
                REASONS[reason] if left < end_ms else "",
                gap / DAY_MS,
            )
            for index, (arrived, left, reason, gap) in enumerate(zip(*columns, strict=True))
        ]


def user_name(index: int) -> str:
    """Return the user id of a row."""
    return f"user-{index:06d}"


def user_number(name: str) -> int:
    """Return the row of a user id.

    >>> user_number(user_name(42))
    42
    """
    return int(name.removeprefix("user-"))


def _tastes(count: int, categories: int, rng: np.random.Generator) -> Ints:
    shares = 1.0 / np.arange(1, categories + 1) ** 0.5
    return rng.choice(categories, (count, FAVOURITES), p=shares / shares.sum())
