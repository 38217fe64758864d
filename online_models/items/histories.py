"""What a recommendation needs to know of its users, as columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from online_models.events import Int64s, UInt64s
from online_models.items.own_items import OwnItems


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
    own
        (n, k) what they touched in all sessions.
    in_event
        (n,) how many of the leading entries belong to an event that goes on; 0 between events. It holds each
        item once, so these do not come next.
    """

    items: UInt64s
    in_session: Int64s
    session_length: Int64s
    bought: UInt64s
    bought_ms: Int64s
    own: OwnItems
    in_event: Int64s

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
            self.own.take(rows),
            self.in_event[rows],
        )

    @classmethod
    def of_session(cls, items: UInt64s) -> Self:
        """Return the history of one user whose present session touched `items`, (r,) newest first."""
        length = np.array([items.size], np.int64)
        nothing = np.zeros((1, 0), np.uint64)
        return cls(
            items[None, :], length, length, nothing, nothing.astype(np.int64), OwnItems.none(1), 0 * length
        )


@dataclass(frozen=True, slots=True)
class TouchContexts:
    """Touches, each with what was known of its user just before it: what a ranker learns from.

    Parameters
    ----------
    place
        (m,) number of the touch among all touches of the same log, ascending.
    item
        (m,) hash of the touched item.
    time_ms
        (m,) event time, epoch milliseconds.
    shown_at
        (m,) the item's place, from 1, in the list that was shown to its user before; 0 where it was in none.
    histories
        The m users just before; of purchases nothing is said.
    """

    place: Int64s
    item: UInt64s
    time_ms: Int64s
    shown_at: Int64s
    histories: Histories

    def __len__(self) -> int:
        """Return the number of touches."""
        return self.item.size

    def take(self, rows: Int64s | slice) -> Self:
        """Return the given touches."""
        return type(self)(
            self.place[rows],
            self.item[rows],
            self.time_ms[rows],
            self.shown_at[rows],
            self.histories.take(rows),
        )

    @classmethod
    def concat(cls, parts: Sequence[tuple[int, Self]]) -> "TouchContexts | None":
        """Return parts of one log as one, each with the number of touches before it; None without a part."""
        if not parts:
            return None
        histories = [part.histories for _, part in parts]
        return cls(
            np.concatenate([part.place + before for before, part in parts]),
            np.concatenate([part.item for _, part in parts]),
            np.concatenate([part.time_ms for _, part in parts]),
            np.concatenate([part.shown_at for _, part in parts]),
            Histories(
                np.concatenate([history.items for history in histories]),
                np.concatenate([history.in_session for history in histories]),
                np.concatenate([history.session_length for history in histories]),
                np.concatenate([history.bought for history in histories]),
                np.concatenate([history.bought_ms for history in histories]),
                OwnItems.concat([history.own for history in histories]),
                np.concatenate([history.in_event for history in histories]),
            ),
        )
