"""Events of the simulator before they are dictionaries: parallel arrays, to be sorted and cut by time."""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class EventColumns(NamedTuple):
    """Events as columns.

    Parameters
    ----------
    time
        (n,) epoch milliseconds.
    kind
        (n,) codes into `streams.sources.simulator.emit.KINDS`.
    user
        (n,) row of the user; ``-1 - v`` for visitor v.
    session
        (n,) number of the session; 0 for what happens outside of one.
    item
        (n,) index of the item; -1 for none.
    payload
        (n,) key of what does not fit a column (a basket, a text); -1 for none.
    """

    time: Ints
    kind: Ints
    user: Ints
    session: Ints
    item: Ints
    payload: Ints

    @classmethod
    def of(
        cls,
        kind: int,
        time: Ints,
        user: Ints,
        session: Ints,
        *,
        item: Ints | None = None,
        payload: Ints | None = None,
    ) -> Self:
        """Return events of one kind."""
        none = np.full(len(time), -1, np.int64)
        kinds = np.full(len(time), kind, np.int64)
        return cls(
            time, kinds, user, session, none if item is None else item, none if payload is None else payload
        )

    @classmethod
    def joined(cls, parts: "list[EventColumns]") -> Self:
        """Return all events one after the other."""
        if not parts:
            return cls(*(np.zeros(0, np.int64) for _ in cls._fields))
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    def where(self, chosen: npt.NDArray[np.bool_] | Ints) -> Self:
        """Return the chosen events."""
        return type(self)(*(column[chosen] for column in self))
