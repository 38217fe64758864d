"""Feeds the simulated shop to Kafka, with errors and repetitions whose numbers are known."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from streams import topics
from streams.demo.setting import BROKEN, REPEATED, shop_of
from streams.settings import Settings
from streams.sources.breakage import BREAKERS
from streams.sources.layout import EventDict
from streams.sources.record import SourceRecord, record_of
from streams.sources.sender import EventSender
from streams.sources.simulator import Shop
from streams.sources.stop import Stop
from streams.writer import Writer

_PATIENCE_S: Final = 3.0
"""How many seconds' worth of events may wait in the worker before feeding pauses."""
_PAUSE_S: Final = 0.05


class Feeder(threading.Thread):
    """Sends events at a steady rate until it is told to stop; waits for a worker that falls behind.

    Parameters
    ----------
    settings
        Where the broker is.
    seed
        Of the shop and of what is broken or repeated.
    rate
        Events a second.
    seconds
        How long; None until `stop` says so.
    stop
        Ends it early.
    """

    def __init__(
        self, settings: Settings, *, seed: int, rate: float, seconds: float | None, stop: Stop
    ) -> None:
        super().__init__(name="feeder", daemon=True)
        self._sender = EventSender(settings, stop)
        self._catalogue = Writer(settings)
        self._catalogue_topic = topics.CATALOGUE.full_name(settings)
        self._seed, self._rate, self._seconds, self._stop_ = seed, rate, seconds, stop
        self._left = threading.Event()
        self.sent = 0
        self.repeated = 0
        self.broken: Counter[str] = Counter()
        self.first_ms = self.now_ms = 0
        self.applied = 0
        """How many events the worker has judged so far; told from outside."""
        self.waited_s = 0.0
        self.failure: BaseException | None = None

    def leave(self) -> None:
        """End the feeding now."""
        self._left.set()

    def run(self) -> None:
        """Feed."""
        try:
            self._feed()
        except BaseException as error:  # noqa: BLE001  # told to whoever waits for this thread
            self.failure = error

    def _feed(self) -> None:
        began = time.monotonic()
        for number, record in enumerate(self._records()):
            if not number % 20 and not self._may_go_on(began, number):
                break
            self._sender.send(record)
            self.sent += 1
        self._sender.finish()
        self._catalogue.finish()

    def _may_go_on(self, began: float, number: int) -> bool:
        """Wait until the next event is due; say whether it still should be sent."""
        while not self._over(began):
            due = began + self.waited_s + number / self._rate
            behind = self.sent - self.applied > max(1_000.0, self._rate * _PATIENCE_S)
            early = due - time.monotonic()
            if early <= 0 and not behind:
                return True
            self._sender.poll(min(_PAUSE_S, max(early, 0.001)) if not behind else _PAUSE_S)
            if behind:
                self.waited_s += _PAUSE_S
        return False

    def _over(self, began: float) -> bool:
        late = self._seconds is not None and time.monotonic() - began >= self._seconds
        return late or self._stop_.requested or self._left.is_set()

    def _records(self) -> Iterator[SourceRecord]:
        rng = np.random.default_rng(self._seed)
        reasons = sorted(BREAKERS)
        shop = Shop(shop_of(self._seed))
        for event in self._events(shop):
            self.now_ms = event["event_time"]
            self.first_ms = self.first_ms or self.now_ms
            yield record_of(event)
            luck = rng.random()
            if luck < REPEATED:
                self.repeated += 1
                yield record_of(event)
            elif luck < REPEATED + BROKEN:
                reason = reasons[int(rng.integers(len(reasons)))]
                self.broken[reason] += 1
                yield SourceRecord(event["event_time"], _key(event), BREAKERS[reason](event))

    def _events(self, shop: Shop) -> Iterator[EventDict]:
        """Yield the events, and tell the catalogue of new items on the day they come on show."""
        for events in shop.days():
            for item in shop.launched():
                self._catalogue.put(self._catalogue_topic, item.item_id.encode(), msgspec.json.encode(item))
            yield from events


def _key(event: EventDict) -> bytes:
    return str(event.get("user_id") or event.get("anonymous_id")).encode()
