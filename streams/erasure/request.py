"""The event that asks for an erasure, sent where the user's events go."""

import time
import uuid
from typing import Any, Final, NamedTuple

import msgspec

from online_models.errors import InvalidParameterError
from streams import clients
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.errors import BrokerUnavailableError
from streams.settings import Settings
from streams.topics import EVENTS

_POLL_S: Final = 0.1


class Sent(NamedTuple):
    """An event that the broker has taken.

    Parameters
    ----------
    topic, partition, offset
        Where it lies; the partition is that of all of the user's events.
    timestamp
        Its broker timestamp, epoch milliseconds.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int


def event_of(user: str, now_ms: int, *, anonymous: bool) -> bytes:
    """Return a `user_erased` event with a fresh id.

    Parameters
    ----------
    user
        The user_id, or the anonymous_id.
    now_ms
        Epoch milliseconds.
    anonymous
        Which of the two it is.

    Raises
    ------
    InvalidParameterError
        If no event could have that id.

    Examples
    --------
    >>> event_of("", 1772360100250, anonymous=False)
    Traceback (most recent call last):
    ...
    online_models.errors.InvalidParameterError: nobody can be called '': user_id: is empty
    """
    value = msgspec.json.encode(
        {
            "event_id": f"erase-{uuid.uuid4().hex}",
            "event_name": "user_erased",
            "event_time": now_ms,
            "anonymous_id" if anonymous else "user_id": user,
        }
    )
    rejects = Decoder().decode([Record(0, now_ms, None, value)]).rejects
    if rejects:
        raise InvalidParameterError(f"nobody can be called {user!r}: {rejects[0][1].message}")
    return value


def send(settings: Settings, key: bytes, value: bytes, *, deadline_s: float) -> Sent:
    """Send an event and return where it lies, once all replicas have it.

    Raises
    ------
    BrokerUnavailableError
        If the broker does not take it in time; then it never will be taken.
    """
    from confluent_kafka import Producer  # noqa: PLC0415  # loads librdkafka

    answers: list[tuple[Any, Any]] = []
    producer = Producer(
        clients.confluent(
            settings.broker,
            **{
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                "delivery.timeout.ms": max(1_000, int(deadline_s * 1000)),
                "log_level": 0,
            },
        )
    )
    producer.produce(
        EVENTS.full_name(settings), value, key, on_delivery=lambda *answer: answers.append(answer)
    )
    until = time.monotonic() + deadline_s + 1
    while not answers and time.monotonic() < until:
        producer.poll(_POLL_S)
    if not answers:
        raise BrokerUnavailableError("the erasure was not taken: no answer in time")
    error, message = answers[0]
    if error is not None:
        raise BrokerUnavailableError(f"the erasure was not taken: {error.str()}")
    return Sent(message.topic(), message.partition(), message.offset(), message.timestamp()[1])
