"""Feeding a stream of events to Kafka: pace, counts and a clean stop."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from streams.errors import SourceError
from streams.sources.ordering import OrderWatch
from streams.sources.record import SourceRecord
from streams.sources.stop import Stop

_STEP_SECONDS: Final = 0.1
_SHOW_EVERY: Final = 200

Show = Callable[["Tally"], None]


class Sink(Protocol):
    """Where a feed sends its records: `EventSender` or `EventFile`."""

    def send(self, record: SourceRecord) -> None:
        """Take one record; waits while it must."""

    def poll(self, seconds: float) -> None:
        """Do what is due, for `seconds` at most."""


@dataclass
class Tally:
    """How far a feed has come.

    Parameters
    ----------
    events, bytes
        Sent so far; bytes of keys and values before compression.
    first_ms
        Event time of the first event that has one; -1 before it.
    order
        Knows the latest event time and how many came late.
    """

    events: int = 0
    bytes: int = 0
    first_ms: int = -1
    order: OrderWatch = field(default_factory=OrderWatch)

    def count(self, record: SourceRecord) -> None:
        """Count a record that was sent."""
        self.events += 1
        self.bytes += len(record.value) + len(record.key or b"")
        if self.first_ms < 0 and record.time_ms is not None:
            self.first_ms = record.time_ms
        self.order.see(record.time_ms)


class Pace:
    """Holds events back until they are due.

    Parameters
    ----------
    speed
        Event time that passes per real time; infinite for as fast as possible.
    clock
        Seconds of a clock that never goes back.

    Raises
    ------
    SourceError
        If the speed is not positive.
    """

    def __init__(self, speed: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        if not speed > 0:
            raise SourceError(f"speed must be positive, not {speed}")
        self._speed = speed
        self._clock = clock
        self._start: tuple[float, int] | None = None

    @classmethod
    def parse(cls, text: str) -> "Pace":
        """Read ``max``, ``1`` (real time), ``60`` or ``60x`` (a minute a second).

        Raises
        ------
        SourceError
            If it is none of these.
        """
        if text == "max":
            return cls()
        try:
            return cls(float(text.removesuffix("x")))
        except ValueError:
            raise SourceError(f"speed must be max or a number like 60, not {text!r}") from None

    def wait(self, time_ms: int | None, poll: Callable[[float], None], stop: Stop) -> None:
        """Return when the event is due, or a stop is requested; `poll` is called meanwhile."""
        if time_ms is None or math.isinf(self._speed):
            return
        if self._start is None:
            self._start = (self._clock(), time_ms)
        started, first_ms = self._start
        due = started + (time_ms - first_ms) / 1000 / self._speed
        while not stop.requested and (left := due - self._clock()) > 0:
            poll(min(left, _STEP_SECONDS))


def feed(records: Iterator[SourceRecord], sink: Sink, pace: Pace, stop: Stop, show: Show) -> Tally:
    """Send the records until they end or a stop is requested, and count them.

    Parameters
    ----------
    records
        In the order in which they are to be sent.
    sink, pace, stop
        Where to, how fast, and until when.
    show
        Told of the progress every now and then, and at the end.

    Raises
    ------
    BrokerUnavailableError
        If the broker does not take them.
    """
    tally = Tally()

    def meanwhile(seconds: float) -> None:
        sink.poll(seconds)
        show(tally)

    for record in records:
        pace.wait(record.time_ms, meanwhile, stop)
        if stop.requested:
            break
        sink.send(record)
        if stop.requested:
            break
        tally.count(record)
        if not tally.events % _SHOW_EVERY:
            show(tally)
    show(tally)
    return tally
