"""Sessions of many users at once: where they are cut, and which touches came before a touch.

A session is (user, session id); events without an id are cut by the gap to the user's latest time. An event
out of order never opens a session: it joins the present one if it belongs there, else it only counts.
All functions take events grouped by user, in log order within a user, so a user's result does not depend on
where batches were cut.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s, UInt64s

Bools = npt.NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class SessionCut:
    """What `cut_sessions` found for n events of g users.

    Parameters
    ----------
    opens
        (n,) whether the event opens a session.
    joins
        (n,) whether the event belongs to the session that is then the present one.
    ordinal
        (n,) sessions opened by the user within these events, up to and with this one.
    gap_ms
        (n,) time between an opening event and the user's latest event before it; 0 elsewhere and for a
        first session.
    last_ms, session, session_start_ms
        (g,) state of the users afterwards.
    """

    opens: Bools
    joins: Bools
    ordinal: Int64s
    gap_ms: Int64s
    last_ms: Int64s
    session: UInt64s
    session_start_ms: Int64s


def starts_of(group: Int64s) -> Int64s:
    """Return the index at which each event's group starts.

    Parameters
    ----------
    group
        (n,) ascending group numbers.

    Examples
    --------
    >>> starts_of(np.array([0, 0, 2, 2, 2])).tolist()
    [0, 0, 2, 2, 2]
    """
    position = np.arange(group.size)
    first = np.ones(group.size, np.bool_)
    first[1:] = group[1:] != group[:-1]
    return np.maximum.accumulate(np.where(first, position, 0))


def cut_sessions(
    *,
    group: Int64s,
    time: Int64s,
    session: UInt64s,
    known: Bools,
    last_ms: Int64s,
    present: UInt64s,
    start_ms: Int64s,
    gap_ms: int,
) -> SessionCut:
    """Cut the sessions of g users.

    Parameters
    ----------
    group
        (n,) ascending numbers of the events' users, 0 to g - 1, each at least once.
    time, session
        (n,) event time in epoch milliseconds, and hash of the producer's session id (0 = none).
    known, last_ms, present, start_ms
        (g,) whether the user had a session before, latest time, id (0 = cut by gap) and start of the
        present session.
    gap_ms
        A longer silence ends a session without an id.
    """
    start = starts_of(group)
    head = start == np.arange(group.size)
    before = _latest_before(group, time, head, np.where(known, last_ms, -1)[group])
    first_ever = head & ~known[group]
    in_order = time >= before
    silent = first_ever | (in_order & (time - before > gap_ms))
    marks = in_order & ((session != 0) | silent)
    present_before = _before(_carry(marks, session, start, present[group]), head, present[group])
    opens = marks & np.where(session != 0, first_ever | (session != present_before), silent)
    opened_ms = _carry(opens, time, start, start_ms[group])
    belongs = np.where(session != 0, session == present_before, time >= opened_ms)
    last = np.append(np.flatnonzero(head)[1:] - 1, group.size - 1)
    running = np.cumsum(opens)
    return SessionCut(
        opens=opens,
        joins=in_order | belongs,
        ordinal=running - (running[start] - opens[start]),
        gap_ms=np.where(opens & ~first_ever, time - before, 0),
        last_ms=np.maximum(before, time)[last],
        session=_carry(marks, session, start, present[group])[last],
        session_start_ms=opened_ms[last],
    )


@dataclass(frozen=True, slots=True)
class Trail:
    """What `follow_touches` found for m touches of g users.

    Parameters
    ----------
    previous
        (m, d) the session's earlier touches, newest first, 0 where there are fewer.
    returns
        (m,) whether the item is among the remembered touches, but not the one just before.
    recent
        (g, r) the users' last touches afterwards, newest first.
    touched
        (g,) touches of the present session within these events.
    earlier
        (m, r) the user's touches before each, newest first, also of former sessions.
    available
        (m,) touches of the session before each.
    """

    previous: UInt64s
    returns: Bools
    recent: UInt64s
    touched: Int64s
    earlier: UInt64s
    available: Int64s


def follow_touches(
    *,
    group: Int64s,
    item: UInt64s,
    ordinal: Int64s,
    recent: UInt64s,
    in_session: Int64s,
    last_ordinal: Int64s,
    distance: int,
) -> Trail:
    """Find what came before each touch, and remember the last ones.

    Parameters
    ----------
    group, item, ordinal
        (m,) user number, item hash and session ordinal of touches that belong to their session.
    recent
        (g, r) last touches before, newest first, 0 for none.
    in_session
        (g,) touches of the session that was present before, also those no longer in `recent`.
    last_ordinal
        (g,) ordinal of each user's last event, touch or not.
    distance
        How far back `previous` looks; at most r.
    """
    width = recent.shape[1]
    line, place = _line_up(group, item, recent)
    steps = np.arange(1, width + 1)
    earlier = line[place[:, None] - steps]
    key = group * (int(ordinal.max(initial=0)) + 1) + ordinal
    within = np.arange(group.size) - starts_of(key)
    available = within + np.where(ordinal == 0, in_session[group], 0)
    previous = np.where(steps[:distance] <= available[:, None], earlier[:, :distance], 0)
    touched = np.zeros(in_session.size, np.int64)
    np.add.at(touched, group[ordinal == last_ordinal[group]], 1)
    return Trail(
        previous=previous.astype(np.uint64),
        returns=(earlier == item[:, None]).any(axis=1) & (earlier[:, 0] != item),
        recent=_newest(line, group, recent),
        touched=touched,
        earlier=earlier,
        available=available,
    )


def push(ring: npt.NDArray[Number], group: Int64s, values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Return rings with values put in front.

    Parameters
    ----------
    ring
        (g, r) values, newest first.
    group
        (m,) ascending ring numbers.
    values
        (m,) values, oldest first within a ring.

    Examples
    --------
    >>> push(np.array([[3, 2, 1], [9, 8, 7]]), np.array([0, 0]), np.array([4, 5])).tolist()
    [[5, 4, 3], [9, 8, 7]]
    """
    line, _ = _line_up(group, values, ring)
    return _newest(line, group, ring)


def _line_up(
    group: Int64s, values: npt.NDArray[Number], ring: npt.NDArray[Number]
) -> tuple[npt.NDArray[Number], Int64s]:
    """Return every ring oldest first, followed by its new values, on one line, and the new values' places."""
    width = ring.shape[1]
    counts = np.bincount(group, minlength=len(ring))
    begins = np.concatenate(([0], np.cumsum(counts + width)[:-1]))
    line = np.empty(ring.size + values.size, ring.dtype)
    line[begins[:, None] + np.arange(width)] = ring[:, ::-1]
    place = begins[group] + width + np.arange(group.size) - starts_of(group)
    line[place] = values
    return line, place


def _newest(line: npt.NDArray[Number], group: Int64s, ring: npt.NDArray[Number]) -> npt.NDArray[Number]:
    width = ring.shape[1]
    ends = np.cumsum(np.bincount(group, minlength=len(ring)) + width)
    return line[ends[:, None] - 1 - np.arange(width)]


def _latest_before(group: Int64s, time: Int64s, head: Bools, known_ms: Int64s) -> Int64s:
    # One running maximum serves all groups once each is lifted above the one before it.
    lift = group * (int(max(time.max(initial=0), known_ms.max(initial=0))) + 2)
    running = np.maximum.accumulate(np.maximum(time, known_ms) + lift) - lift
    return np.where(head, known_ms, np.roll(running, 1))


def _before(values: npt.NDArray[Number], head: Bools, initial: npt.NDArray[Number]) -> npt.NDArray[Number]:
    return np.where(head, initial, np.roll(values, 1))


def _carry(
    marks: Bools, values: npt.NDArray[Number], start: Int64s, initial: npt.NDArray[Number]
) -> npt.NDArray[Number]:
    """Return the value at the latest mark of the group, up to and with the event itself."""
    latest = np.maximum.accumulate(np.where(marks, np.arange(marks.size), -1))
    return np.where(latest >= start, values[latest], initial)
