"""Google Analytics 4 as BigQuery exports it: newline-delimited JSON or Parquet."""

from collections.abc import Mapping
from typing import Any, ClassVar

from streams.sources.head import Head
from streams.sources.layout import Bad, EventDict, without_nones
from streams.sources.names import event_name
from streams.sources.objects import ObjectLayout
from streams.sources.values import number, text

_MOST_ITEMS = 200


class Ga4Layout(ObjectLayout):
    """Names are GA4's already; parameters that no field takes are kept as properties."""

    name: ClassVar[str] = "ga4"
    title: ClassVar[str] = "GA4 BigQuery export"

    def confidence(self, head: Head) -> float:
        """Return .98 if there are event_timestamp and user_pseudo_id."""
        wanted = {"event_name", "event_timestamp", "user_pseudo_id"}
        if not head.has_header:
            return 0.98 if wanted <= set(head.names or ()) else 0.0
        return 0.98 if any(wanted <= item.keys() for item in head.objects) else 0.0

    def convert(self, item: dict[str, Any]) -> EventDict | Bad:
        """Return the event; its time is in microseconds in the export."""
        micros = number(item.get("event_timestamp"))
        if micros is None:
            return Bad("bad_time", f"event_timestamp {item.get('event_timestamp')!r}")
        name = text(item.get("event_name"))
        user, pseudo = text(item.get("user_id")), text(item.get("user_pseudo_id"))
        if name is None:
            return Bad("missing_field", "event_name is empty")
        if user is None and pseudo is None:
            return Bad("no_subject", "neither user_id nor user_pseudo_id")
        params = _params(item.get("event_params"))
        session = text(params.pop("ga_session_id", None))
        commerce = item.get("ecommerce") or {}
        value = number(params.pop("value", None))
        event = {
            "event_name": event_name(name),
            "event_time": int(micros) // 1000,
            "user_id": user,
            "anonymous_id": pseudo,
            "session_id": None if session is None else f"{pseudo or user}.{session}",
            "items": _items(item.get("items")),
            "value": number(commerce.get("purchase_revenue")) if value is None else value,
            "currency": text(params.pop("currency", None)),
            "search_term": text(params.pop("search_term", None)),
            "properties": params or None,
        }
        return without_nones(event)


def _params(params: Any) -> dict[str, Any]:
    """Return the parameters with the one value that each has."""
    found = {}
    for param in params or ():
        if not isinstance(param, Mapping) or not isinstance(param.get("value"), Mapping):
            continue
        values = [value for value in param["value"].values() if value is not None]
        if values:
            found[str(param.get("key"))] = values[0]
    return found


def _items(items: Any) -> list[EventDict] | None:
    found = []
    for item in items or ():
        if not isinstance(item, Mapping):
            continue
        item_id = text(item.get("item_id")) or text(item.get("item_name"))
        if item_id is None or item_id == "(not set)":
            continue
        found.append(
            without_nones(
                {
                    "item_id": item_id,
                    "item_category": _set(item.get("item_category")),
                    "item_brand": _set(item.get("item_brand")),
                    "price": number(item.get("price")),
                    "quantity": number(item.get("quantity")),
                }
            )
        )
    return found[:_MOST_ITEMS] or None


def _set(value: Any) -> str | None:
    name = text(value)
    return None if name == "(not set)" else name
