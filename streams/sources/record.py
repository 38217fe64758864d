"""Events on their way out: bytes, the key they are sent under, and their time."""

from typing import Any, Final, NamedTuple

import msgspec

from streams.sources.layout import Event
from streams.sources.values import epoch_ms


class SourceRecord(NamedTuple):
    """One event as it will be sent.

    Parameters
    ----------
    time_ms
        Event time; None where the event has none that can be read.
    key
        Key of the record: user_id, else anonymous_id; None where the event has neither.
    value
        JSON.
    """

    time_ms: int | None
    key: bytes | None
    value: bytes


class _Peek(msgspec.Struct):
    event_time: Any = None
    user_id: Any = None
    anonymous_id: Any = None


_peek: Final = msgspec.json.Decoder(_Peek).decode
_encode: Final = msgspec.json.Encoder().encode


def record_of(event: Event) -> SourceRecord:
    """Return the record of an event; bytes that are no event go out as they are, without a key.

    >>> record_of({"event_time": 5, "user_id": "7"})
    SourceRecord(time_ms=5, key=b'7', value=b'{"event_time":5,"user_id":"7"}')
    >>> record_of(b"broken")
    SourceRecord(time_ms=None, key=None, value=b'broken')
    """
    if isinstance(event, dict):
        key = event.get("user_id") or event["anonymous_id"]
        return SourceRecord(event["event_time"], key.encode(), _encode(event))
    try:
        peek = _peek(event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return SourceRecord(None, None, event)
    subject = peek.user_id or peek.anonymous_id
    time = peek.event_time
    return SourceRecord(
        # Keepstream's own numbers are milliseconds whatever their size.
        time if type(time) is int else epoch_ms(time) if isinstance(time, str) else None,
        subject.encode() if isinstance(subject, str) else None,
        event,
    )
