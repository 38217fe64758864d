"""Complete Journey's transactions: a year of grocery baskets, simulated from patterns of real households."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from streams.sources.head import Columns
from streams.sources.layout import EventDict, GroupedLayout, Skipped, without_nones
from streams.sources.tables import Row
from streams.sources.values import epoch_ms, number, text


class CompleteJourneyLayout(GroupedLayout):
    """The rows of one basket are one purchase; times are UTC.

    Parameters
    ----------
    products
        Category and brand by product id, where the products table is at hand.
    """

    name: ClassVar[str] = "complete-journey"
    title: ClassVar[str] = "Complete Journey transactions (simulated from real patterns)"
    wanted: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("household_id",),
        ("basket_id",),
        ("product_id",),
        ("quantity",),
        ("sales_value",),
        ("transaction_timestamp",),
    )

    def __init__(self, products: Mapping[str, tuple[str | None, str | None]] | None = None) -> None:
        self._products = products or {}

    def group_key(self, columns: Columns) -> Callable[[Sequence[Any]], object]:
        """Return the function that gives the basket."""
        basket = columns.at("basket_id")
        return lambda cells: cells[basket]

    def combine(self, rows: Sequence[Row], columns: Columns) -> Iterable[EventDict | Skipped]:
        """Yield the purchase, in parts if it has too many items."""
        household, basket, product, quantity, value, time = (columns.at(*aliases) for aliases in self.wanted)
        first = rows[0].cells
        event_time, user = epoch_ms(first[time]), text(first[household])
        if event_time is None or user is None:
            for row in rows:
                yield Skipped(row.number, "bad_time", f"transaction_timestamp {row.cells[time]!r}")
            return
        lines: dict[str, tuple[float, float]] = {}
        for row in rows:
            item, count, paid = (
                text(row.cells[product]),
                number(row.cells[quantity]),
                number(row.cells[value]),
            )
            if item is None or count is None or paid is None:
                yield Skipped(row.number, "bad_number", "product, quantity or sales value is missing")
                continue
            before = lines.get(item, (0.0, 0.0))
            lines[item] = (before[0] + count, before[1] + paid)
        ids = list(lines)
        for start in range(0, len(ids), self.most_items):
            part = ids[start : start + self.most_items]
            yield {
                "event_name": "purchase",
                "event_time": event_time,
                "user_id": user,
                "items": [self._item(item, *lines[item]) for item in part],
                "value": round(sum(lines[item][1] for item in part), 2),
                "currency": "USD",
                "properties": {"basket_id": text(first[basket])},
            }

    def _item(self, item: str, count: float, paid: float) -> EventDict:
        category, brand = self._products.get(item, (None, None))
        return without_nones(
            {
                "item_id": item,
                "item_category": category,
                "item_brand": brand,
                # Weighed goods and coupons have no count; what was paid is then the price of one.
                "price": round(paid / count, 4) if count > 0 else paid,
                "quantity": count if count > 0 else 1,
            }
        )
