"""What a recommendation needs to know of its users, as columns."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from online_models.events import Int64s, UInt64s


@dataclass(frozen=True, slots=True)
class Histories:
    """The recent touches and purchases of n users.

    Parameters
    ----------
    items
        (n, r) hashes of the last touched items, newest first, repeats included; 0 where there are fewer.
    in_session
        (n,) how many of the leading entries belong to the present session.
    session_length
        (n,) touches in the present session so far, also those that `items` no longer holds.
    bought, bought_ms
        (n, b) hashes of the last bought items (0 = none) and when, epoch milliseconds.
    """

    items: UInt64s
    in_session: Int64s
    session_length: Int64s
    bought: UInt64s
    bought_ms: Int64s

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.items)

    def take(self, rows: Int64s | slice) -> Self:
        """Return the given users' histories."""
        return type(self)(
            self.items[rows],
            self.in_session[rows],
            self.session_length[rows],
            self.bought[rows],
            self.bought_ms[rows],
        )

    @classmethod
    def of_session(cls, items: UInt64s) -> Self:
        """Return the history of one user whose present session touched `items`, (r,) newest first."""
        length = np.array([items.size], np.int64)
        nothing = np.zeros((1, 0), np.uint64)
        return cls(items[None, :], length, length, nothing, nothing.astype(np.int64))
