"""Events into user rows: counts, sessions, touches and the pairs they make."""

from dataclasses import dataclass, replace

import numpy as np

from online_models.churn.rows import (
    ANCHOR_MS,
    IS_ACTIVITY,
    IS_TOUCH,
    Bools,
    Rows,
    count_activity,
    count_kinds,
    count_purchases,
    count_ratings,
    move_anchor,
    note_returns,
    spend_of,
)
from online_models.churn.settings import UserSettings
from online_models.events import KIND, EventBatch, Int64s, UInt64s, hash_id
from online_models.items.histories import Histories, TouchContexts
from online_models.items.own_items import OwnMemory
from online_models.items.pairs import PairBatch, pairs_from_touches
from online_models.items.sampling import TouchSampler
from online_models.sessions import SessionCut, Trail, cut_sessions, follow_touches, push

_PURCHASE = KIND["purchase"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of events beyond the rows.

    Parameters
    ----------
    group, time
        (a,) user number and time of each activity.
    pairs
        Touches and pairs in log order; None without a touch.
    touching
        Indices of the events that touched an item, ascending.
    contexts
        Sampled touches with what came before them, numbered as in `pairs`; None without a touch.
    """

    group: Int64s
    time: Int64s
    pairs: PairBatch | None
    touching: Int64s
    contexts: TouchContexts | None = None


def apply_events(  # noqa: PLR0917  # columns
    rows: Rows,
    own: OwnMemory,
    group: Int64s,
    events: EventBatch,
    index: Int64s,
    settings: UserSettings,
    next_tick_ms: int,
    sampler: TouchSampler,
    muted: Bools,
    shown_at: Int64s,
) -> Applied:
    """Apply accepted events between two ticks to the rows of their users, in place.

    Parameters
    ----------
    rows
        (g,) rows of the users, each with at least one event.
    own
        What they touched in all sessions.
    group
        (n,) the event's user.
    events, index
        The batch, and (n,) which of its events to apply, in log order; none of them erases a user.
    settings
        Session gap and sizes.
    next_tick_ms
        The tick that follows these events.
    sampler
        Which touches are to be returned with their contexts.
    muted
        (n,) whether the event's touches and pairs are kept from the items.
    shown_at
        (m,) where each item of the batch stood in its user's list, as `ShownLists.places` returns it.
    """
    kind = events.kind[index]
    stretch = (next_tick_ms - 1) // ANCHOR_MS
    # Where there is no activity yet, nothing else tells how long ago the shop last spoke of the user.
    rows["anchor"][rows["sessions"] == 0] = stretch
    count_kinds(rows, group, kind)
    count_ratings(rows, group, events.rating[index])
    active = np.flatnonzero(IS_ACTIVITY[kind])
    if not active.size:
        return Applied(active, active, None, active)
    order = active[np.argsort(group[active], kind="stable")]
    users, user = np.unique(group[order], return_inverse=True)
    mine = rows[users]
    move_anchor(mine, stretch)
    chosen = index[order]
    cut = _count(mine, user, events, chosen, settings)
    touched = _touch(
        mine, own.of(users), user, events, chosen, cut, settings, sampler, muted[order], shown_at
    )
    mine["last_ms"], mine["session"], mine["session_start_ms"] = (
        cut.last_ms,
        cut.session,
        cut.session_start_ms,
    )
    rows[users] = mine
    return Applied(group[order], events.time[chosen], *touched)


def _count(
    rows: Rows, user: Int64s, events: EventBatch, chosen: Int64s, settings: UserSettings
) -> SessionCut:
    time, kind = events.time[chosen], events.kind[chosen]
    cut = cut_sessions(
        group=user,
        time=time,
        session=events.session[chosen],
        known=rows["sessions"] > 0,
        last_ms=rows["last_ms"],
        present=rows["session"],
        start_ms=rows["session_start_ms"],
        gap_ms=settings.session_gap_ms,
    )
    count_activity(rows, user, kind, time, cut)
    note_returns(rows, user, time, cut, settings.horizon_ms)
    count_purchases(rows, user, kind, time, spend_of(events, chosen))
    return cut


def _touch(  # noqa: PLR0917  # columns
    rows: Rows,
    own: OwnMemory,
    user: Int64s,
    events: EventBatch,
    chosen: Int64s,
    cut: SessionCut,
    settings: UserSettings,
    sampler: TouchSampler,
    muted: Bools,
    shown_at: Int64s,
) -> tuple[PairBatch | None, Int64s, TouchContexts | None]:
    """Remember touched and bought items; return pairs in log order, touching events and sampled contexts."""
    last = np.append(np.flatnonzero(np.diff(user)), user.size - 1)
    fresh = cut.ordinal[last] > 0
    before = rows["session_touches"].astype(np.int64)
    rows["session_touches"][fresh] = 0
    place, item = _touched_items(events, chosen)
    if not item.size:
        return None, place, None
    joined = np.flatnonzero(cut.joins[place])
    trail = follow_touches(
        group=user[place[joined]],
        item=events.item_hash[item[joined]],
        ordinal=cut.ordinal[place[joined]],
        recent=rows["recent"],
        in_session=before,
        last_ordinal=cut.ordinal[last],
        distance=settings.pair_distance,
    )
    rows["recent"] = trail.recent
    rows["session_touches"] += trail.touched.astype(np.uint32)
    returned = user[place[joined[trail.returns]]]
    rows["item_returns"] += np.bincount(returned, minlength=rows.size).astype(np.uint32)
    contexts = _remember(
        rows, own, user[place], events, chosen[place], item, (joined, trail), sampler, shown_at
    )
    previous = np.zeros((item.size, settings.pair_distance), np.uint64)
    previous[joined] = trail.previous
    touching, heard = np.unique(chosen[place]), ~muted[place]
    if not heard.all():
        contexts = _heard(contexts, heard[np.argsort(item)])
        place, item, previous = place[heard], item[heard], previous[heard]
    pairs = _pairs(events, chosen[place], item, previous) if item.size else None
    return pairs, touching, contexts


def _heard(contexts: TouchContexts, heard: Bools) -> TouchContexts:
    """Return the contexts of touches that are passed on, numbered among these; `heard` is in log order."""
    kept = contexts.take(np.flatnonzero(heard[contexts.place]))
    return replace(kept, place=(np.cumsum(heard) - 1)[kept.place])


def _touched_items(events: EventBatch, chosen: Int64s) -> tuple[Int64s, Int64s]:
    """Return, for every touch, which of the chosen events it is of, and its place in the item columns."""
    touching = np.flatnonzero(IS_TOUCH[events.kind[chosen]])
    first = events.item_start[chosen[touching]]
    counts = events.item_start[chosen[touching] + 1] - first
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(touching, counts), np.repeat(first, counts) + within


def _remember(  # noqa: PLR0917  # columns
    rows: Rows,
    own: OwnMemory,
    user: Int64s,
    events: EventBatch,
    event: Int64s,
    item: Int64s,
    joined: tuple[Int64s, Trail],
    sampler: TouchSampler,
    shown_at: Int64s,
) -> TouchContexts:
    """Note the categories of touched items, the user's own items, and those bought; return the sample."""
    categories = rows["categories"].copy()
    np.bitwise_or.at(categories, user, _category_bits(events, item))
    rows["categories"] = categories
    bought = np.flatnonzero(events.kind[event] == _PURCHASE)
    if bought.size:
        rows["bought"] = push(rows["bought"], user[bought], events.item_hash[item[bought]])
        rows["bought_ms"] = push(rows["bought_ms"], user[bought], events.time[event[bought]])
    log = np.argsort(item)
    lucky = np.zeros(item.size, np.bool_)
    lucky[log] = sampler.choose(events.time[event[log]], events.event_id[event[log]])
    places, trail = joined
    taken = np.flatnonzero(lucky[places])
    wanted = places[taken]
    known = own.touch(user, events.item_hash[item], events.time[event], wanted)
    within = item - events.item_start[event]
    number = np.empty(item.size, np.int64)
    number[log] = np.arange(item.size)
    order = np.argsort(number[wanted])
    nothing = np.zeros((wanted.size, 0), np.uint64)
    available = trail.available[taken]
    histories = Histories(
        items=trail.earlier[taken],
        in_session=np.minimum(available, trail.earlier.shape[1]),
        session_length=available,
        bought=nothing,
        bought_ms=nothing.astype(np.int64),
        own=known,
        in_event=np.minimum(within[wanted], trail.earlier.shape[1]),
    )
    entry = item[wanted]
    found = TouchContexts(
        number[wanted], events.item_hash[entry], events.time[event[wanted]], shown_at[entry], histories
    )
    return found.take(order)


def _category_bits(events: EventBatch, item: Int64s) -> UInt64s:
    """Return one of 64 bits for each item's category, none where it is unknown (Whang et al. 1990)."""
    names = [events.category[i] for i in item.tolist()]
    bits = {name: 1 << (hash_id(name) % 64) if name else 0 for name in set(names)}
    return np.array([bits[name] for name in names], dtype=np.uint64)


def _pairs(events: EventBatch, event: Int64s, item: Int64s, previous: UInt64s) -> PairBatch:
    log = np.argsort(item)
    listed = item[log].tolist()
    return pairs_from_touches(
        item=[events.item[i] for i in listed],
        item_hash=events.item_hash[item[log]],
        kind=events.kind[event[log]],
        time=events.time[event[log]],
        category=[events.category[i] for i in listed],
        price=events.price[item[log]],
        previous=previous[log],
    )
