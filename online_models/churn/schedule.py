"""When every user is looked at next: to be checked while active, to be forgotten after a long silence."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from online_models.churn.rows import ANCHOR_MS, Rows
from online_models.churn.settings import UserSettings
from online_models.clock import NEVER
from online_models.events import Int64s, UInt64s, hash_id

_CHECKED: Final = "u:"


def last_seen_ms(rows: Rows) -> Int64s:
    """Return (n,) since when users are idle: their latest activity.

    Of a user of whom only the shop's own events are known, the end of the stretch in which the latest came.
    """
    stretch_end = (rows["anchor"].astype(np.int64) + 1) * ANCHOR_MS
    return np.where(rows["last_ms"] > 0, rows["last_ms"], stretch_end)


class Schedule:
    """The next due time of every row of a table of users.

    A user is checked at a phase given by a hash of the id, as long as the check finds activity within the
    horizon, and besides when quiet hours end in which an alert was held; one who will not be checked again is
    due when `state_ttl_ms` has passed without activity.

    Parameters
    ----------
    settings
        Horizon, intervals and time to live.
    capacity
        Rows to make room for.
    """

    def __init__(self, settings: UserSettings, capacity: int) -> None:
        self._settings = settings
        self._due: Int64s = np.full(capacity, NEVER)
        self.hash: UInt64s = np.zeros(capacity, np.uint64)
        self._held: Int64s = np.zeros(capacity, np.int64)
        self._checked = np.zeros(capacity, np.bool_)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return self._due.nbytes + self._held.nbytes + self.hash.nbytes + self._checked.nbytes

    def identify(self, numbers: Int64s, keys: Sequence[str], capacity: int) -> None:
        """Take in new rows (n,) and the n users they belong to, in a table with room for `capacity` rows."""
        if capacity > self._due.size:
            more = capacity - self._due.size
            self._due = np.concatenate((self._due, np.full(more, NEVER)))
            self._held = np.concatenate((self._held, np.zeros(more, np.int64)))
            self.hash = np.concatenate((self.hash, np.zeros(more, np.uint64)))
            self._checked = np.concatenate((self._checked, np.zeros(more, np.bool_)))
        self.hash[numbers] = np.array([hash_id(key) for key in keys], np.uint64)
        self._checked[numbers] = [key.startswith(_CHECKED) for key in keys]

    def plan(self, numbers: Int64s, rows: Rows, earliest_ms: Int64s | int) -> None:
        """Set when users are due next.

        Parameters
        ----------
        numbers, rows
            (n,) numbers of the users' rows, and the rows.
        earliest_ms
            The next tick, of all or (n,) of each.
        """
        settings = self._settings
        ahead = (self.phase(numbers) - earliest_ms) % settings.check_interval_ms
        check = earliest_ms + ahead
        last_ms = rows["last_ms"]
        self._held[numbers] = rows["held_ms"]
        held = (rows["held_ms"] > 0) & self._checked[numbers]
        check = np.where(held, np.minimum(check, rows["held_ms"]), check)
        active = (last_ms > 0) & (last_ms > check - settings.horizon_ms) & self._checked[numbers]
        self._due[numbers] = np.where(active, check, last_seen_ms(rows) + settings.state_ttl_ms)

    def soonest(self, numbers: Int64s, time_ms: Int64s, earliest_ms: int) -> int:
        """Return a time before which none of some users is due, once events of theirs are applied.

        Parameters
        ----------
        numbers
            (n,) numbers of the events' users.
        time_ms
            (n,) times of the events.
        earliest_ms
            The next tick.
        """
        check = earliest_ms + (self.phase(numbers) - earliest_ms) % self._settings.check_interval_ms
        held_ms = self._held[numbers]
        check = np.where(held_ms > 0, np.minimum(check, held_ms), check)
        check = np.where(self._checked[numbers], check, NEVER)
        planned = min(int(self._due[numbers].min()), int(check.min()))
        return min(planned, int(time_ms.min()) + self._settings.state_ttl_ms)

    def customers(self, numbers: Int64s) -> Int64s:
        """Return those of rows that are of customers, not of anonymous visitors, by hash."""
        return self.by_hash(numbers[self._checked[numbers]])

    def drop(self, numbers: Int64s) -> None:
        """Let rows never be due."""
        self._due[numbers] = NEVER
        self._held[numbers] = 0

    def next_due(self) -> int:
        """Return the earliest due time, `NEVER` without one."""
        return int(self._due.min())

    def due(self, now_ms: int) -> Int64s:
        """Return the rows that are due, by the hash of their users.

        So nothing depends on the order in which rows were made or restored.
        """
        return self.by_hash(np.flatnonzero(self._due <= now_ms))

    def by_hash(self, numbers: Int64s) -> Int64s:
        """Return rows (n,) ordered by the hash of their users."""
        return numbers[np.argsort(self.hash[numbers], kind="stable")]

    def surplus(self, numbers: Int64s, rows: Rows) -> Int64s:
        """Return the longest idle of all users `numbers` (n,), by hash: so many that a tenth is free."""
        most = self._settings.max_users
        count = numbers.size - most + most // 10
        order = np.lexsort((self.hash[numbers], last_seen_ms(rows)))
        return self.by_hash(numbers[order[:count]])

    def phase(self, numbers: Int64s) -> Int64s:
        """Return (n,) offset of the users' landmarks in the landmark interval, on the grid of ticks."""
        slots = np.uint64(self._settings.landmark_interval_ms // self._settings.tick_ms)
        return (self.hash[numbers] % slots).astype(np.int64) * self._settings.tick_ms
