"""Which touches are to be predicted, from which history: sessions followed event by event.

Written apart from the users' store on purpose: a judge that shared its code would share its mistakes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import SILENT_KINDS, TOUCH_KINDS, EventBatch, UInt64s

_SILENT: Final = frozenset(SILENT_KINDS)
_TOUCHES: Final = frozenset(TOUCH_KINDS)


class Touch(NamedTuple):
    """A touch of an item, with what came before it in its session.

    Parameters
    ----------
    event
        Row of the event in its batch.
    subject
        Who touched.
    session
        Number of the session, alike for all of its touches and for no other's.
    time_ms
        Event time, epoch milliseconds.
    earlier
        Items touched before in the session, oldest first; a list that goes on growing.
    length
        How many of `earlier` came before this touch.
    item
        The touched item.
    place
        Which item of the event it is.
    """

    event: int
    subject: str
    session: int
    time_ms: int
    earlier: list[int]
    length: int
    item: int
    place: int = 0


def shuffle_items(events: EventBatch) -> EventBatch:
    """Return the events with the items of each in an order by hash, the same on every run.

    Items of one event were touched at once. Files tend to list them sorted, by product number for instance:
    an order that nobody knows beforehand, and from which the next item could be guessed.

    Examples
    --------
    >>> import numpy as np
    >>> np.unique(_mixed(np.arange(1000, dtype=np.uint64))).size
    1000
    """
    counts = np.diff(events.item_start)
    if counts.max(initial=0) < 2:
        return events
    event = np.repeat(np.arange(len(events)), counts)
    order = np.lexsort((_mixed(events.item_hash ^ events.event_id[event]), event))
    listed = order.tolist()
    return replace(
        events,
        item=[events.item[i] for i in listed],
        item_hash=events.item_hash[order],
        category=[events.category[i] for i in listed],
        price=events.price[order],
        quantity=events.quantity[order],
    )


def _mixed(values: UInt64s) -> UInt64s:
    """Return values with their bits mixed (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(slots=True)
class _Present:
    number: int
    last_ms: int
    start_ms: int
    session: int
    items: list[int] = field(default_factory=list)


class SessionFollower:
    """Follows each user's present session by the rule of the contract.

    A session is (user, session id), else it is cut by a silence longer than the gap; an event out of order
    opens none, and joins the present one only if it belongs there.

    Parameters
    ----------
    gap_ms
        Silence that ends a session without an id, milliseconds.

    Raises
    ------
    InvalidParameterError
        If `gap_ms` is negative.
    """

    def __init__(self, gap_ms: int) -> None:
        if gap_ms < 0:
            raise InvalidParameterError(f"gap_ms must not be negative, got {gap_ms}")
        self._gap_ms = gap_ms
        self._present: dict[str, _Present] = {}
        self._opened = 0

    def __len__(self) -> int:
        """Return the number of sessions opened so far."""
        return self._opened

    def touches(self, events: EventBatch) -> Iterator[Touch]:
        """Yield the touches of accepted events in order; each then joins its session."""
        kinds, times, sessions = events.kind.tolist(), events.time.tolist(), events.session.tolist()
        starts, items = events.item_start.tolist(), events.item_hash.tolist()
        for row, subject in enumerate(events.subject):
            if kinds[row] in _SILENT:
                continue
            present = self._join(subject, times[row], sessions[row])
            if present is None or kinds[row] not in _TOUCHES:
                continue
            earlier = present.items
            for place, item in enumerate(items[starts[row] : starts[row + 1]]):
                yield Touch(row, subject, present.number, times[row], earlier, len(earlier), item, place)
                earlier.append(item)

    def _join(self, subject: str, time: int, session: int) -> _Present | None:
        """Return the session the event belongs to, None where that is a past one."""
        present = self._present.get(subject)
        if present is None:
            return self._open(subject, time, session)
        if time < present.last_ms:
            belongs = session == present.session if session else time >= present.start_ms
            return present if belongs else None
        silent = time - present.last_ms > self._gap_ms
        if session != present.session if session else silent:
            return self._open(subject, time, session)
        present.last_ms = time
        return present

    def _open(self, subject: str, time: int, session: int) -> _Present:
        opened = self._present[subject] = _Present(self._opened, time, time, session)
        self._opened += 1
        return opened
