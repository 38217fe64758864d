"""The simulated shop, day by day."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from online_models.events import KIND
from streams.schemas import CatalogItem
from streams.sources.simulator.aftermath import Purchases, follow
from streams.sources.simulator.catalogue import Catalogue, Ints
from streams.sources.simulator.columns import EventColumns
from streams.sources.simulator.config import DAY_MS, ShopConfig
from streams.sources.simulator.emit import Emitter
from streams.sources.simulator.population import FAVOURITES, Population
from streams.sources.simulator.responses import Attempt, Response, respond
from streams.sources.simulator.truth import DELIVERY, PRICE, UserTruth
from streams.sources.simulator.visits import Outcome, Visits, play

_FADED = 0.6


class Shop:
    """A shop whose users browse, buy, complain and leave.

    Users walk from item to item mostly within small families of items and to families that go with them, so
    that co-occurrence can be learned; they come back at personal intervals and hours; they leave because they
    lose interest (sessions grow rare and short first), because prices rose, or because a delivery went wrong.

    Parameters
    ----------
    config
        Size, pace and fate.

    Examples
    --------
    >>> shop = Shop(ShopConfig(users=50, items=200, days=3))
    >>> events = list(shop.events())
    >>> events == list(Shop(ShopConfig(users=50, items=200, days=3)).events())
    True
    >>> times = [event["event_time"] for event in events]
    >>> times == sorted(times)
    True
    """

    def __init__(self, config: ShopConfig) -> None:
        self._config = config
        self._rng = np.random.default_rng(config.seed)
        self._catalogue = Catalogue(config, self._rng)
        self._population = Population(config, self._rng)
        self._emitter = Emitter(self._catalogue, f"sim{config.seed}-")
        self._sessions = 0
        self._visitors = 0
        self._purchases = 0
        self._now_ms = config.start_ms
        self._pending = EventColumns.joined([])
        # Of its own, so that a shop without win-back has the same events as ever.
        self._responses = np.random.default_rng((config.seed, 1))

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events in time order, once; nested lists are shared and must not be changed."""
        for events in self.days():
            yield from events

    def days(self) -> Iterator[Iterator[dict[str, Any]]]:
        """Yield the events of each day, as `events` does; between two days users may be won back."""
        config = self._config
        for day in count() if config.days is None else range(config.days):
            end_ms = config.start_ms + (day + 1) * DAY_MS
            self._begin_day(day)
            parts = [self._pending, *self._visitor_sessions(day), *self._user_sessions(day)]
            pending = EventColumns.joined(parts)
            pending = pending.where(np.argsort(pending.time, kind="stable"))
            ready = int(np.searchsorted(pending.time, end_ms))
            self._now_ms = end_ms
            self._pending = EventColumns(*(column[ready:] for column in pending))
            yield self._emitter.events(
                EventColumns(*(column[:ready] for column in pending)), len(self._population.rows)
            )

    def win_back(self, attempts: Sequence[Attempt], horizon_ms: int) -> list[Response]:
        """Let users respond to what was done about them today, and tell what nobody else knows.

        Parameters
        ----------
        attempts
            Who was treated how, and when, on the day that was yielded last.
        horizon_ms
            A return counts within this time.
        """
        return respond(
            attempts,
            self._population.rows,
            self._pending,
            now_ms=self._now_ms,
            horizon_ms=horizon_ms,
            rng=self._responses,
        )

    def launched(self) -> list[CatalogItem]:
        """Return the items that came on show today; at the first day all that are sold."""
        config = self._config
        day = max(0, (self._now_ms - config.start_ms) // DAY_MS - 1)
        return self._catalogue.launched(day, config.start_ms)

    def truth(self, until_ms: int | None = None) -> list[UserTruth]:
        """Return what became of every user before a moment.

        Parameters
        ----------
        until_ms
            Epoch milliseconds; None takes the end of the last day that was begun.
        """
        return self._population.truth(self._now_ms if until_ms is None else until_ms)

    def _begin_day(self, day: int) -> None:
        config, rng = self._config, self._rng
        self._catalogue.begin_day(day, rng)
        if day and day % config.price_hike_days == 0:
            self._catalogue.raise_price(day, rng)
        if day == config.regime_day:
            self._population.boredom_factor = 2.0
            self._population.shift_tastes(rng)
            self._catalogue.shuffle_partners(rng)
        arrivals = int(rng.poisson(config.daily_arrivals))
        self._population.arrive(arrivals, config.start_ms + day * DAY_MS, rng)
        self._emitter.begin_day()

    def _visitor_sessions(self, day: int) -> Iterator[EventColumns]:
        config, rng = self._config, self._rng
        visits = int(rng.poisson(config.daily_visitors))
        if not visits:
            return
        numbers = self._visitors + np.arange(visits)
        self._visitors += visits
        shares = 1.0 / np.arange(1, config.categories + 1) ** 0.5
        sessions = Visits(
            user=-1 - numbers,
            session=self._numbers(visits),
            start_ms=config.start_ms + day * DAY_MS + rng.integers(0, DAY_MS, visits),
            favourites=rng.choice(config.categories, (visits, FAVOURITES), p=shares / shares.sum()),
            interest=np.full(visits, 0.7),
            last_item=np.full(visits, -1),
            thrift=rng.random(visits),
            is_first=np.zeros(visits, np.bool_),
        )
        outcome = play(sessions, self._catalogue, day, rng)
        yield outcome.events
        yield from self._after(sessions, outcome)

    def _user_sessions(self, day: int) -> Iterator[EventColumns]:
        """Play the sessions of the day; who comes again on the same day is played in the next round."""
        end_ms = self._config.start_ms + (day + 1) * DAY_MS
        people, rng = self._population, self._rng
        while len(users := people.due(end_ms)):
            rows = people.rows
            first = rows["arrived_ms"][users] < 0
            people.lose_interest(users, rng)
            sessions = Visits(
                user=users,
                session=self._numbers(len(users)),
                start_ms=rows["next_ms"][users],
                favourites=rows["favourites"][users],
                interest=np.where(rows["fading"][users] > 0, _FADED, 1.0),
                last_item=rows["last_item"][users],
                thrift=rows["thrift"][users],
                is_first=first & (users >= self._config.users),
            )
            rows["arrived_ms"][users[first]] = sessions.start_ms[first]
            outcome = play(sessions, self._catalogue, day, rng)
            rows["last_item"][users] = outcome.last_item
            rows["last_ms"][users] = np.maximum(rows["last_ms"][users], outcome.end_ms)
            yield outcome.events
            yield from self._after(sessions, outcome)
            people.leave(users[outcome.gone], PRICE, outcome.end_ms[outcome.gone])
            people.come_again(users, outcome.end_ms, rng)

    def _after(self, sessions: Visits, outcome: Outcome) -> Iterator[EventColumns]:
        """Keep the baskets, and schedule what follows the purchases."""
        buyers = outcome.buyers
        if not len(buyers):
            return
        keys = self._purchases + np.arange(len(buyers))
        self._purchases += len(buyers)
        for key, basket in zip(keys.tolist(), outcome.baskets, strict=True):
            self._emitter.keep_basket(key, basket)
        items: Ints = np.array([basket[0] for basket in outcome.baskets], np.int64)
        user = sessions.user[buyers]
        session = sessions.session[buyers]
        yield EventColumns.of(KIND["purchase"], outcome.bought_ms, user, session, item=items, payload=keys)
        purchases = Purchases(outcome.bought_ms, user, items, self._catalogue.quality[items], keys)
        after = follow(purchases, self._config.bad_delivery, self._rng)
        yield after.events
        known = user >= 0
        rows = self._population.rows
        rows["last_ms"][user[known]] = np.maximum(rows["last_ms"][user[known]], after.active_ms[known])
        self._population.leave(user[after.gone], DELIVERY, after.active_ms[after.gone])

    def _numbers(self, sessions: int) -> Ints:
        self._sessions += sessions
        return np.arange(self._sessions - sessions, self._sessions) + 1


def simulate(config: ShopConfig) -> Iterator[dict[str, Any]]:
    """Yield the events of a simulated shop in time order; see `Shop`, which also knows the truth."""
    return Shop(config).events()
