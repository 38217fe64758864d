"""Good and bad events that decoder and JSON Schema must judge alike, and bad bytes for the decoder."""

import json
from typing import Any

NOW_MS = 1_772_360_100_250
"""Broker timestamp of the tests' records: 2026-03-01T10:15:00.250Z."""


def event(**changes: Any) -> dict[str, Any]:
    """Return a valid event with some fields replaced; `...` removes a field."""
    base = {"event_id": "e-1", "event_name": "view_item", "event_time": NOW_MS, "user_id": "c-1"}
    return {name: value for name, value in (base | changes).items() if value is not ...}


ITEM = {
    "item_id": "sku-1",
    "item_category": "Shoes",
    "item_brand": "Acme",
    "price": 89.95,
    "quantity": 2,
}

GOOD: dict[str, dict[str, Any]] = {
    "smallest": event(),
    "rfc 3339 with Z": event(event_time="2026-03-01T10:15:00Z"),
    "rfc 3339 with fraction and offset": event(event_time="2026-03-01T11:15:00.250+01:00"),
    "rfc 3339 in small letters": event(event_time="2026-03-01t10:15:00z"),
    "rfc 3339 with a blank": event(event_time="2026-03-01 04:45:00-0530"),
    "anonymous": event(user_id=..., anonymous_id="dev-1"),
    "both ids": event(anonymous_id="dev-1"),
    "null where optional": event(anonymous_id=None, items=None, value=None, session_id=None, properties=None),
    "unknown name": event(event_name="shook_phone"),
    "unknown fields": event(page="https://shop.example/", nested={"a": [1, {"b": None}]}),
    "items": event(items=[ITEM, {"item_id": "sku-2"}]),
    "no items": event(items=[]),
    "200 items": event(items=[{"item_id": f"sku-{n}"} for n in range(200)]),
    "single item": event(item_id="sku-1", price=3, quantity=1, item_category="Shoes", item_brand="Acme"),
    "longest ids": event(event_id="e" * 64, user_id="u" * 128, session_id="s" * 128),
    "ids of any script": event(user_id="顾客-Ünal-😀", item_id="商品 1"),
    "zero amounts": event(value=0, items=[{"item_id": "a", "price": 0, "quantity": 0}]),
    "free text": event(text='line\nbreak \u0000 and "quotes"', search_term="", rating=1.5, currency="EUR"),
    "empty category": event(items=[{"item_id": "a", "item_category": ""}]),
    "properties": event(properties={"a": 1, "b": {"c": []}}),
    "first accepted time": event(event_time=10_000_000_000),
}

BAD: dict[str, tuple[str, dict[str, Any] | list[Any] | str | int | None]] = {
    "array": ("not_an_object", [event()]),
    "string": ("not_an_object", "event"),
    "number": ("not_an_object", 7),
    "null": ("not_an_object", None),
    "empty object": ("missing_field", {}),
    "no event_id": ("missing_field", event(event_id=...)),
    "no event_name": ("missing_field", event(event_name=...)),
    "no event_time": ("missing_field", event(event_time=...)),
    "item without id": ("missing_field", event(items=[{"price": 1}])),
    "null event_id": ("wrong_type", event(event_id=None)),
    "number as event_id": ("wrong_type", event(event_id=17)),
    "number as user_id": ("wrong_type", event(user_id=17)),
    "bool as value": ("wrong_type", event(value=True)),
    "bool as event_time": ("wrong_type", event(event_time=True)),
    "null event_time": ("wrong_type", event(event_time=None)),
    "fraction as event_time": ("wrong_type", event(event_time=NOW_MS + 0.5)),
    "text as price": ("wrong_type", event(items=[ITEM | {"price": "89.95"}])),
    "object as items": ("wrong_type", event(items=ITEM)),
    "text as item": ("wrong_type", event(items=["sku-1"])),
    "array as properties": ("wrong_type", event(properties=[])),
    "object as text": ("wrong_type", event(text={})),
    "negative price": ("out_of_range", event(items=[ITEM | {"price": -0.01}])),
    "negative value": ("out_of_range", event(value=-1)),
    "absurd value": ("out_of_range", event(value=1e13)),
    "integer beyond 64 bits as value": ("out_of_range", event(value=10**30)),
    "rating 0": ("out_of_range", event(rating=0)),
    "rating 6": ("out_of_range", event(rating=6)),
    "201 items": ("out_of_range", event(items=[{"item_id": f"sku-{n}"} for n in range(201)])),
    "long event_id": ("out_of_range", event(event_id="e" * 65)),
    "long user_id": ("out_of_range", event(user_id="u" * 129)),
    "huge text": ("out_of_range", event(text="t" * 20_001)),
    "long currency": ("bad_value", event(currency="EURO")),
    "empty event_id": ("empty_value", event(event_id="")),
    "empty user_id": ("empty_value", event(user_id="")),
    "blank user_id": ("empty_value", event(user_id="  ")),
    "blank in another script": ("empty_value", event(user_id="\u3000")),
    "blank item_id": ("empty_value", event(items=[{"item_id": " "}])),
    "empty item_id": ("empty_value", event(item_id="")),
    "control character in user_id": ("bad_value", event(user_id="c-1\u0000")),
    "line break in item_id": ("bad_value", event(items=[ITEM, {"item_id": "\nsku"}])),
    "delete in session_id": ("bad_value", event(session_id="s\u007f")),
    "currency sign": ("bad_value", event(currency="€")),
    "small currency": ("bad_value", event(currency="eur")),
    "currency of digits": ("bad_value", event(currency="123")),
    "time without zone": ("bad_time", event(event_time="2026-03-01T10:15:00")),
    "time in words": ("bad_time", event(event_time="yesterday")),
    "time without seconds": ("bad_time", event(event_time="2026-03-01T10:15Z")),
    "a mere date": ("bad_time", event(event_time="2026-03-01")),
    "31 February": ("bad_time", event(event_time="2026-02-31T10:15:00Z")),
    "milliseconds in quotes": ("bad_time", event(event_time=str(NOW_MS))),
    "seconds": ("bad_time", event(event_time=NOW_MS // 1000)),
    "microseconds": ("bad_time", event(event_time=NOW_MS * 1000)),
    "negative time": ("bad_time", event(event_time=-1)),
    "time beyond 64 bits": ("bad_time", event(event_time=10**20)),
    "nobody": ("no_subject", event(user_id=...)),
    "null ids": ("no_subject", event(user_id=None, anonymous_id=None)),
}
"""Name, reason, document: refused by both."""

_TEXT = json.dumps(event())

BAD_BYTES: dict[str, tuple[str, bytes | None]] = {
    "tombstone": ("empty_value", None),
    "nothing": ("empty_value", b""),
    "blanks": ("not_json", b"  "),
    "words": ("not_json", b"hello"),
    "cut off": ("not_json", _TEXT[:-1].encode()),
    "two objects": ("not_json", f"{_TEXT}{_TEXT}".encode()),
    "trailing comma": ("not_json", f"{_TEXT[:-1]},}}".encode()),
    "NaN": ("not_json", f'{_TEXT[:-1]},"value":NaN}}'.encode()),
    "Infinity": ("not_json", f'{_TEXT[:-1]},"value":-Infinity}}'.encode()),
    "exponent too large": ("out_of_range", f'{_TEXT[:-1]},"value":1e999}}'.encode()),
    "lone surrogate": ("not_json", f'{_TEXT[:-1]},"session_id":"\\ud800"}}'.encode()),
    "lone low surrogate in an unknown field": ("not_json", f'{_TEXT[:-1]},"x":"\\udc00a"}}'.encode()),
    "latin-1 in an id": ("not_json", f'{_TEXT[:-1]},"session_id":"é"}}'.encode("latin-1")),
    "latin-1 in an unknown field": ("not_json", f'{_TEXT[:-1]},"x":"é"}}'.encode("latin-1")),
    "latin-1 in properties": ("not_json", f'{_TEXT[:-1]},"properties":{{"x":"é"}}}}'.encode("latin-1")),
    "utf-16": ("not_json", _TEXT.encode("utf-16")),
    "byte order mark": ("not_json", b"\xef\xbb\xbf" + _TEXT.encode()),
    "raw line break in a string": ("not_json", f'{_TEXT[:-1]},"x":"a\nb"}}'.encode()),
    "integral float as time": ("wrong_type", _TEXT.replace(str(NOW_MS), f"{NOW_MS}.0").encode()),
    "exponent as time": ("wrong_type", _TEXT.replace(str(NOW_MS), "1.77e12").encode()),
    "year 9999": ("bad_time", json.dumps(event(event_time="9999-12-31T23:59:59Z")).encode()),
    "year 1": ("bad_time", json.dumps(event(event_time="0001-01-01T00:00:00Z")).encode()),
    "year 1969": ("bad_time", json.dumps(event(event_time="1969-12-31T23:59:59Z")).encode()),
    "deep unknown field": ("too_deep", f'{_TEXT[:-1]},"x":{"[" * 40}{"]" * 40}}}'.encode()),
    "deep properties": ("too_deep", f'{_TEXT[:-1]},"properties":{{"x":{"[" * 40}{"]" * 40}}}}}'.encode()),
    "100,000 brackets": ("too_deep", b"[" * 100_000),
    "100,000 levels": ("too_deep", f'{_TEXT[:-1]},"x":{"[" * 50_000}{"]" * 50_000}}}'.encode()),
    "too large": ("too_large", f'{_TEXT[:-1]},"x":"{"y" * 300_000}"}}'.encode()),
    "user_id twice": ("duplicate_key", f'{_TEXT[:-1]},"user_id":"c-2"}}'.encode()),
    "event_time twice": ("duplicate_key", f'{_TEXT[:-1]},"event_time":{NOW_MS}}}'.encode()),
    "event_id twice, once escaped": ("duplicate_key", f'{_TEXT[:-1]},"event\\u005fid":"e-2"}}'.encode()),
    "items twice": ("duplicate_key", f'{_TEXT[:-1]},"items":[],"items":[]}}'.encode()),
    "from the future": ("from_the_future", json.dumps(event(event_time=NOW_MS + 300_001)).encode()),
}
"""Name, reason, bytes: refused by the decoder; a JSON Schema cannot speak of them."""
