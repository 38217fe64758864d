"""Broken events mixed into a stream, as careless producers send them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec
import numpy as np

from online_models.errors import InvalidParameterError
from streams.sources.layout import Event, EventDict

_encode: Final = msgspec.json.Encoder().encode

Breaker = Callable[[EventDict], bytes]


def _with(**fields: Any) -> Breaker:
    return lambda event: _encode({**event, **fields})


def _without(*fields: str) -> Breaker:
    return lambda event: _encode({name: value for name, value in event.items() if name not in fields})


def _cut(event: EventDict) -> bytes:
    raw = _encode(event)
    return raw[: len(raw) * 2 // 3]


def _listed(event: EventDict) -> bytes:
    return _encode([event])


BREAKERS: Final[dict[str, Breaker]] = {
    "not_json": _cut,
    "not_an_object": _listed,
    "missing_field": _without("event_name"),
    "wrong_type": _with(user_id=42),
    "out_of_range": _with(rating=11),
    "empty_value": _with(event_id=""),
    "bad_time": _with(event_time="yesterday"),
    "no_subject": _without("user_id", "anonymous_id"),
}
"""Ways to break an event, by the reason for which it will be rejected."""


def with_broken(events: Iterable[EventDict], share: float, seed: int) -> Iterator[Event]:
    """Yield every event, and in between broken copies of some.

    Parameters
    ----------
    events
        Whole events; all of them are passed on.
    share
        Part of the result that is broken, at least 0 and below 1.
    seed
        Decides which.

    Raises
    ------
    InvalidParameterError
        If the share lies outside its range.
    """
    if not 0 <= share < 1:
        raise InvalidParameterError(f"share must be at least 0 and below 1, not {share}")
    rng = np.random.default_rng(seed)
    breakers = list(BREAKERS.values())
    # Broken ones per whole one, so that they are the given share of both together.
    ahead = share / (1 - share)
    owed = 0.0
    for event in events:
        yield event
        owed += ahead
        while owed >= 1:
            owed -= 1
            yield breakers[int(rng.integers(len(breakers)))](event)
