"""CloudEvents in binary mode: `ce_` headers stand in for fields that the event itself leaves out."""

from collections.abc import Sequence
from typing import Final

import msgspec

from online_models.events import KIND

FIELDS: Final = {"ce_id": "event_id", "ce_type": "event_name", "ce_time": "event_time"}
"""Which header stands in for which field."""

_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def fill(raw: bytes, headers: Sequence[tuple[str, bytes | None]]) -> bytes | None:
    """Return the event with missing fields taken from its headers, or None if they add nothing.

    A type in reverse-DNS notation counts by its last part if that is a known event name.

    >>> fill(b'{"user_id":"u"}', [("ce_type", b"com.shop.purchase")])
    b'{"event_name":"purchase","user_id":"u"}'

    Raises
    ------
    msgspec.DecodeError
        If `raw` is no JSON object.
    """
    given = {FIELDS[name]: value for name, value in headers if name in FIELDS and value}
    if not given:
        return None
    present = _NAMES.decode(raw)
    missing = {
        field: text for field, value in given.items() if field not in present and (text := _text(value))
    }
    if not missing:
        return None
    if "event_name" in missing:
        short = missing["event_name"].rpartition(".")[2]
        missing["event_name"] = short if short in KIND else missing["event_name"]
    members = msgspec.json.encode(missing)[:-1]
    return members + (b"," if present else b"") + raw.lstrip()[1:]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""
