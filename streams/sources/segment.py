"""Segment calls as archives and webhooks hold them, with the names of its e-commerce specification."""

from collections.abc import Mapping
from typing import Any, ClassVar

from streams.sources.head import Head
from streams.sources.layout import Bad, EventDict, row_id, without_nones
from streams.sources.names import event_name
from streams.sources.objects import ObjectLayout
from streams.sources.values import epoch_ms, number, text

_LONGEST_ID = 64
_MOST_ITEMS = 200
_TYPES = {"track", "page", "screen"}


class SegmentLayout(ObjectLayout):
    """Track calls keep their (translated) name; page and screen calls are page_view and screen_view."""

    name: ClassVar[str] = "segment"
    title: ClassVar[str] = "Segment track, page and screen calls"

    def confidence(self, head: Head) -> float:
        """Return .97 if there are a type, a messageId or timestamp and a userId or anonymousId."""
        for item in head.objects:
            if "type" in item and ("messageId" in item or "timestamp" in item) and _ids(item) != (None, None):
                return 0.97
        return 0.0

    def convert(self, item: dict[str, Any]) -> EventDict | Bad:
        """Return the event with the message id as its id."""
        kind = item.get("type")
        if kind not in _TYPES:
            return Bad("no_event", f"type {kind!r}")
        name = text(item.get("event")) if kind == "track" else f"{kind}_view"
        if name is None:
            return Bad("missing_field", "event is empty")
        event_time = epoch_ms(item.get("timestamp") or item.get("originalTimestamp"))
        if event_time is None:
            return Bad("bad_time", f"timestamp {item.get('timestamp')!r}")
        user, anonymous = _ids(item)
        if user is None and anonymous is None:
            return Bad("no_subject", "neither userId nor anonymousId")
        given = item.get("properties")
        properties: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
        value = properties.get("revenue", properties.get("total", properties.get("value")))
        event = {
            "event_id": _message_id(text(item.get("messageId"))),
            "event_name": event_name(name),
            "event_time": event_time,
            "user_id": user,
            "anonymous_id": anonymous,
            "items": _items(properties),
            "value": number(value),
            "currency": text(properties.get("currency")),
            "search_term": text(properties.get("query")),
            "rating": number(properties.get("rating")),
            "text": text(properties.get("review_body")),
        }
        return without_nones(event)


def _ids(item: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return text(item.get("userId")), text(item.get("anonymousId"))


def _message_id(message: str | None) -> str | None:
    if message is None or len(message) <= _LONGEST_ID:
        return message
    return row_id("segment", 0, message.encode())


def _items(properties: Mapping[str, Any]) -> list[EventDict] | None:
    products = properties.get("products")
    if not isinstance(products, list):
        products = [properties]
    found = []
    for product in products:
        if not isinstance(product, Mapping):
            continue
        item_id = text(product.get("product_id")) or text(product.get("sku"))
        if item_id is None:
            continue
        item = {
            "item_id": item_id,
            "item_category": text(product.get("category")),
            "item_brand": text(product.get("brand")),
            "price": number(product.get("price")),
            "quantity": number(product.get("quantity")),
        }
        found.append(without_nones(item))
    return found[:_MOST_ITEMS] or None
