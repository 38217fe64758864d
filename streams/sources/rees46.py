"""REES46's eCommerce behaviour data: views, carts and purchases of a multi-category shop, month by month."""

from collections.abc import Sequence
from typing import Any, ClassVar

from streams.sources.head import Columns
from streams.sources.layout import Bad, Convert, EventDict, TableLayout, without_nones
from streams.sources.values import epoch_ms, number, text

_NAMES = {
    "view": "view_item",
    "cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "purchase": "purchase",
}


class Rees46Layout(TableLayout):
    """One row is one action on one item; the category is its code, or its number where it has no code."""

    name: ClassVar[str] = "rees46"
    title: ClassVar[str] = "REES46 eCommerce behaviour data"
    wanted: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("event_time",),
        ("event_type",),
        ("product_id",),
        ("user_id",),
        ("user_session",),
    )

    def converter(self, columns: Columns) -> Convert:
        """Return the converter of a row."""
        time, name, product, user, session = (columns.at(*aliases) for aliases in self.wanted)
        code, category, brand, price = map(columns.find, ("category_code", "category_id", "brand", "price"))

        def cell(cells: Sequence[Any], index: int | None) -> Any:
            return None if index is None else cells[index]

        def convert(cells: Sequence[Any]) -> EventDict | Bad:
            event_time = epoch_ms(cells[time])
            if event_time is None:
                return Bad("bad_time", f"event_time {cells[time]!r}")
            user_id, item_id = text(cells[user]), text(cells[product])
            if user_id is None or item_id is None:
                return Bad("missing_field", "user_id or product_id is empty")
            event_name = _NAMES.get(cells[name])
            if event_name is None:
                return Bad("unknown_event", f"event_type {cells[name]!r}")
            item = {
                "item_id": item_id,
                "item_category": text(cell(cells, code)) or text(cell(cells, category)),
                "item_brand": text(cell(cells, brand)),
                "price": number(cell(cells, price)),
            }
            event = {
                "event_name": event_name,
                "event_time": event_time,
                "user_id": user_id,
                "session_id": text(cells[session]),
                "items": [without_nones(item)],
                "value": item["price"] if event_name == "purchase" else None,
            }
            return without_nones(event)

        return convert
