"""What happens in sessions: a walk from item to item, and what the visitor does with each."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.events import KIND
from streams.sources.simulator.catalogue import Catalogue
from streams.sources.simulator.columns import EventColumns

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PAGE_VIEW: Final = KIND["other"]
MOST_STEPS: Final = 25
SEARCH_CATEGORY, SEARCH_BRAND, SEARCH_CHEAP = range(3)

_FAMILY, _COMPLEMENT, _BACK = 0.58, 0.70, 0.82
_SECOND: Final = 1_000


@dataclass(frozen=True)
class Visits:
    """Sessions that begin, one row each.

    Parameters
    ----------
    user
        (n,) row of the user, or ``-1 - v`` for visitor v.
    session
        (n,) number of the session.
    start_ms
        (n,) its first moment.
    favourites
        (n, 3) categories, the dearest first.
    interest
        (n,) 1 for the usual length and eagerness, less for those who fade.
    last_item
        (n,) where the user left off; -1 for nowhere.
    thrift
        (n,) 0 to 1, how much the visitor minds prices.
    is_first
        (n,) whether the user signs up in it.
    """

    user: Ints
    session: Ints
    start_ms: Ints
    favourites: Ints
    interest: Floats
    last_item: Ints
    thrift: Floats
    is_first: Bools

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self.user)


class Walk(NamedTuple):
    """The items of sessions in order: (n, steps) arrays."""

    item: Ints
    time: Ints
    touched: Bools
    jump: Bools

    @property
    def last(self) -> Ints:
        """Position of the last touch."""
        last: Ints = self.touched.sum(axis=1) - 1
        return last


class Outcome(NamedTuple):
    """What sessions led to.

    Parameters
    ----------
    events
        Everything that happened, not sorted.
    end_ms, last_item
        (n,) time of the last event and item of the last touch of each session.
    gone
        (n,) users whom the prices drove away.
    buyers, bought_ms
        Sessions with a purchase, and when.
    baskets
        Items of each purchase, in the order of `buyers`.
    """

    events: EventColumns
    end_ms: Ints
    last_item: Ints
    gone: Bools
    buyers: Ints
    bought_ms: Ints
    baskets: list[list[int]]


def walk(visits: Visits, catalogue: Catalogue, rng: np.random.Generator) -> Walk:
    """Lead every visitor from item to item: mostly within a family, at times to what goes with it."""
    count = len(visits)
    lengths = (rng.geometric(0.2, count) * visits.interest).astype(np.int64).clip(1, MOST_STEPS)
    steps = int(lengths.max(initial=1))
    item = np.full((count, steps), -1, np.int64)
    jump = np.zeros((count, steps), np.bool_)
    taste = rng.choice(3, count, p=(0.6, 0.28, 0.12))
    category = visits.favourites[np.arange(count), taste]
    resumes = (visits.last_item >= 0) & (rng.random(count) < 0.3)
    item[:, 0] = np.where(resumes, visits.last_item, catalogue.popular(category, rng))
    jump[:, 0] = ~resumes
    for step in range(1, steps):
        rows = np.flatnonzero(lengths > step)
        before, draw = item[rows, step - 1], rng.random(len(rows))
        back = item[rows, rng.integers(0, step, len(rows))]
        item[rows, step] = np.select(
            [draw < _FAMILY, draw < _COMPLEMENT, draw < _BACK],
            [catalogue.relative(before, rng), catalogue.complement(before, rng), back],
            catalogue.popular(category[rows], rng),
        )
        jump[rows, step] = draw >= _BACK
    dwell = (rng.lognormal(3.5, 0.8, (count, steps)).clip(3, 900) * _SECOND).astype(np.int64)
    time = visits.start_ms[:, None] + np.cumsum(dwell, axis=1)
    return Walk(item, time, item >= 0, jump)


def play(visits: Visits, catalogue: Catalogue, day: int, rng: np.random.Generator) -> Outcome:
    """Return what happens in the sessions."""
    path = walk(visits, catalogue, rng)
    rows = np.arange(len(visits))
    last_item = path.item[rows, path.last]
    end_ms = path.time[rows, path.last] + 30 * _SECOND
    gone = _too_dear(visits, path, catalogue, day, rng)
    in_cart = path.touched & (rng.random(path.item.shape) < _eagerness(visits, path, catalogue)[:, None])
    in_cart[rows[gone], path.last[gone]] = True
    buys = in_cart.any(axis=1) & ~gone & (rng.random(len(visits)) < 0.5 * visits.interest)
    dropped = in_cart & (gone | (~buys & (rng.random(len(visits)) < 0.3)))[:, None]
    parts = _browsing(visits, path, rng) + _carts(
        visits, path, in_cart, end_ms=end_ms, dropped=dropped, gone=gone
    )
    checkout, bought_ms = _checkout(visits, in_cart, end_ms, buys, rng)
    buyers = np.flatnonzero(buys)
    events = EventColumns.joined(parts + checkout)
    return Outcome(
        events,
        _last_activity(visits, events, bought_ms, buys),
        last_item,
        gone,
        buyers,
        bought_ms[buyers],
        [sorted(set(path.item[row, in_cart[row]].tolist())) for row in buyers.tolist()],
    )


def _too_dear(visits: Visits, path: Walk, catalogue: Catalogue, day: int, rng: np.random.Generator) -> Bools:
    """Return who saw prices that rose in the last three weeks, minds, and goes for good."""
    risen = (day - catalogue.hiked_day) <= 21
    saw = (risen[catalogue.category[path.item.clip(0)]] & path.touched).any(axis=1)
    minds = (visits.thrift > 0.6) & (visits.user >= 0)
    gone: Bools = saw & minds & (rng.random(len(visits)) < 0.15)
    return gone


def _eagerness(visits: Visits, path: Walk, catalogue: Catalogue) -> Floats:
    """Return the chance per touch of an item going into the cart."""
    factor = catalogue.price_factor[catalogue.category[path.item[:, 0]]]
    chance: Floats = 0.09 * visits.interest * (1 - visits.thrift * (factor - 1)).clip(0.2, 1)
    return chance


def _browsing(visits: Visits, path: Walk, rng: np.random.Generator) -> list[EventColumns]:
    count, shape = len(visits), path.item.shape
    draw = rng.random(shape)
    listed = path.jump & (draw < 0.35)
    searched = path.jump & (draw > 0.7)
    selected = path.touched & (rng.random(shape) < 0.3)
    wished = path.touched & (rng.random(shape) < 0.02)
    registered = visits.user >= 0
    logs_in = registered & ~visits.is_first & (rng.random(count) < 0.5)
    lands = rng.random(count) < 0.6
    style = np.where(rng.random(shape) < 0.6, SEARCH_CATEGORY, SEARCH_BRAND)
    return [
        _at_start(PAGE_VIEW, visits, lands, 0),
        _at_start(KIND["sign_up"], visits, visits.is_first, _SECOND),
        _at_start(KIND["login"], visits, logs_in, _SECOND),
        _at_touch(KIND["view_item_list"], visits, path, listed, after_ms=-2 * _SECOND),
        _at_touch(KIND["search"], visits, path, searched, after_ms=-2 * _SECOND, payload=style),
        _at_touch(KIND["select_item"], visits, path, selected, after_ms=-_SECOND // 2),
        _at_touch(KIND["view_item"], visits, path, path.touched, after_ms=0),
        _at_touch(KIND["add_to_wishlist"], visits, path, wished, after_ms=1_500),
    ]


def _carts(
    visits: Visits, path: Walk, in_cart: Bools, *, end_ms: Ints, dropped: Bools, gone: Bools
) -> list[EventColumns]:
    rows, steps = np.nonzero(dropped)
    going = np.flatnonzero(gone)
    cheap = np.full(len(going), SEARCH_CHEAP)
    return [
        _at_touch(KIND["add_to_cart"], visits, path, in_cart, after_ms=2 * _SECOND),
        EventColumns.of(
            KIND["remove_from_cart"],
            end_ms[rows] - 20 * _SECOND + steps,
            visits.user[rows],
            visits.session[rows],
            item=path.item[rows, steps],
        ),
        EventColumns.of(
            KIND["search"],
            end_ms[going] - 22 * _SECOND,
            visits.user[going],
            visits.session[going],
            item=path.item[going, path.last[going]],
            payload=cheap,
        ),
    ]


def _checkout(
    visits: Visits, in_cart: Bools, end_ms: Ints, buys: Bools, rng: np.random.Generator
) -> tuple[list[EventColumns], Ints]:
    """Return the events of the till but the last, and the times of purchases."""
    looks = in_cart.any(axis=1) & (buys | (rng.random(len(visits)) < 0.5))
    begins = buys | (looks & (rng.random(len(visits)) < 0.3))
    pays = buys | (begins & (rng.random(len(visits)) < 0.3))
    stages = (("view_cart", looks, 0), ("begin_checkout", begins, 25), ("add_payment_info", pays, 60))
    parts = []
    for name, chosen, seconds in stages:
        rows = np.flatnonzero(chosen)
        time = end_ms[rows] + seconds * _SECOND
        parts.append(EventColumns.of(KIND[name], time, visits.user[rows], visits.session[rows]))
    return parts, end_ms + 90 * _SECOND


def _last_activity(visits: Visits, events: EventColumns, bought_ms: Ints, buys: Bools) -> Ints:
    """Return the time of the last event of each session; session numbers are consecutive."""
    last = np.where(buys, bought_ms, 0)
    np.maximum.at(last, events.session - visits.session[0], events.time)
    return last


def _at_start(kind: int, visits: Visits, chosen: Bools, after_ms: int) -> EventColumns:
    rows = np.flatnonzero(chosen)
    return EventColumns.of(kind, visits.start_ms[rows] + after_ms, visits.user[rows], visits.session[rows])


def _at_touch(
    kind: int, visits: Visits, path: Walk, chosen: Bools, *, after_ms: int, payload: Ints | None = None
) -> EventColumns:
    rows, steps = np.nonzero(chosen)
    return EventColumns.of(
        kind,
        path.time[rows, steps] + after_ms,
        visits.user[rows],
        visits.session[rows],
        item=path.item[rows, steps],
        payload=None if payload is None else payload[rows, steps],
    )
