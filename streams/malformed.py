"""Why bytes are not an event: what the decoder found, as a reject that a producer understands."""

import json
import re
from collections import Counter
from typing import Any, Final

import msgspec
import numpy as np

from online_models.events import Reject, RejectReason

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not an event."""

SINGULAR: Final = ("event_id", "event_name", "event_time", "user_id", "anonymous_id", "items")
"""Fields that decide whose event it is, when and about what: of these none may stand in an object twice."""

OUTSIDE: Final = "lies outside 1970-04-26 to 2099-12-31; integers are epoch milliseconds"
NO_CURRENCY: Final = "expected three capital letters (ISO 4217)"

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_STEP: Final = np.zeros(256, np.int32)
_STEP[list(b"[{")] = 1
_STEP[list(b"]}")] = -1

_RULES: Final[tuple[tuple[str, RejectReason, str], ...]] = (
    (r"Object missing required field", "missing_field", ""),
    (r"^Expected `object`, got `\w+`$", "not_an_object", ""),
    (r"RFC3339", "bad_time", "expected an RFC 3339 time"),
    (r"timezone", "bad_time", "expected a time zone, Z or an offset"),
    (r"`int` [<>].* at `\$\.event_time`$", "bad_time", OUTSIDE),
    (r"length .* at `\$\.currency`$", "bad_value", NO_CURRENCY),
    (r"of length >= 1\b", "empty_value", "is empty"),
    (r"of length|(?:`int`|`float`) [<>]|out of range", "out_of_range", ""),
    (r"got `", "wrong_type", ""),
)
"""Pattern in msgspec's message, reason, and what to say instead."""

_JSON_NAMES: Final = {"str": "string", "float": "number", "int": "integer", "bool": "boolean"}


def explain(error: Exception, raw: bytes, max_depth: int) -> Reject:
    """Return the reject for bytes on which the decoder raised.

    Parameters
    ----------
    error
        One of `UNREADABLE`.
    raw
        The bytes that were read.
    max_depth
        Deepest nesting that is accepted.

    >>> from streams.schemas import Event
    >>> try:
    ...     msgspec.json.decode(b'{"event_id": 7}', type=Event)
    ... except UNREADABLE as error:
    ...     explain(error, b"", 32)
    Reject(reason='wrong_type', message='event_id: expected string, got integer')
    """
    if isinstance(error, UnicodeDecodeError):
        return not_utf8(error)
    if isinstance(error, RecursionError) or depth(raw) > max_depth:
        return too_deep(max_depth)
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Reject("not_json", text)
    for pattern, reason, instead in _RULES:
        if re.search(pattern, text):
            return Reject(reason, _readable(text, instead))
    return Reject("wrong_type", _readable(text))


def not_utf8(error: UnicodeDecodeError) -> Reject:
    """Return the reject for bytes that are no UTF-8."""
    return Reject("not_json", f"not UTF-8: {error.reason}")


def too_deep(max_depth: int) -> Reject:
    """Return the reject for nesting beyond the limit."""
    return Reject("too_deep", f"objects and arrays nested deeper than {max_depth}")


def depth(raw: bytes) -> int:
    """Return how deep objects and arrays are nested, brackets inside strings not counted.

    >>> depth(b'{"a": [{"b": "[[["}]}')
    3
    """
    structure = np.frombuffer(_STRING.sub(b"", raw), np.uint8)
    return int(np.cumsum(_STEP[structure]).max(initial=0))


def repeated_key(raw: bytes) -> Reject | None:
    """Return the reject of a JSON object in which a field of `SINGULAR` stands twice, else None.

    >>> repeated_key(b'{"user_id": "a", "user_id": "b"}')
    Reject(reason='duplicate_key', message='user_id: stands in the object 2 times')
    """
    seen: Counter[str] = Counter()

    def pairs(members: list[tuple[str, Any]]) -> None:
        seen.clear()  # the outermost object is closed last, so its names are what remains
        seen.update(name for name, _ in members)

    json.loads(raw, object_pairs_hook=pairs, parse_int=len, parse_float=len)  # numbers do not matter here
    for name in SINGULAR:
        if seen[name] > 1:
            return Reject("duplicate_key", f"{name}: stands in the object {seen[name]} times")
    return None


def _readable(text: str, instead: str = "") -> str:
    """Turn msgspec's message into one that starts with the field and speaks of JSON types."""
    message, _, path = text.partition(" - at `$")
    place = path.rstrip("`").removeprefix(".")
    missing = re.search(r"required field `(\w+)`", message)
    if missing:
        return f"{place}.{missing[1]}: is missing".removeprefix(".")
    for name, json_name in _JSON_NAMES.items():
        message = re.sub(rf"\b{name}\b", json_name, message)
    message = message.replace("`", "").replace(" | ", " or ")
    message = instead or message[0].lower() + message[1:]
    return f"{place}: {message}" if place else message
