"""UCI Online Retail (I and II): the invoices of a British gift wholesaler, one row an item."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from streams.sources.head import Columns
from streams.sources.layout import Bad, EventDict, GroupedLayout, Skipped, without_nones
from streams.sources.tables import Row
from streams.sources.values import epoch_ms, from_pattern, number, text

_SERVICES: Final = frozenset(
    {"POST", "DOT", "M", "D", "S", "B", "C2", "PADS", "CRUK", "AMAZONFEE", "BANK CHARGES"}
)
"""Stock codes that are postage, fees, discounts and corrections: part of the value, no items."""


class _Line(NamedTuple):
    item: str | None
    quantity: float
    price: float


class OnlineRetailLayout(GroupedLayout):
    """The rows of one invoice are one purchase; invoices that start with C are refunds.

    Rows without a customer are guests: their invoice number is the anonymous id. Rows of one item are added
    up. Negative prices, and negative quantities outside refunds, are corrections and hold no event. Times
    have no zone and are taken as UTC.
    """

    name: ClassVar[str] = "online-retail"
    title: ClassVar[str] = "UCI Online Retail invoices"
    wanted: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("InvoiceNo", "Invoice"),
        ("StockCode",),
        ("Quantity",),
        ("InvoiceDate",),
        ("UnitPrice", "Price"),
        ("CustomerID",),
    )

    def group_key(self, columns: Columns) -> Callable[[Sequence[Any]], object]:
        """Return the function that gives invoice, time and customer; a few invoices span two minutes."""
        invoice, _, _, date, _, customer = (columns.at(*aliases) for aliases in self.wanted)
        return lambda cells: (cells[invoice], cells[date], cells[customer])

    def combine(self, rows: Sequence[Row], columns: Columns) -> Iterable[EventDict | Skipped]:
        """Yield the purchase or refund, in parts if it has too many items."""
        invoice, stock, quantity, date, price, customer = (columns.at(*aliases) for aliases in self.wanted)
        first = rows[0].cells
        number_of = text(first[invoice])
        event_time = _time(first[date])
        if event_time is None or number_of is None:
            for row in rows:
                yield Skipped(row.number, "bad_time", f"InvoiceDate {row.cells[date]!r}")
            return
        refund = number_of.upper().startswith("C")
        lines = []
        for row in rows:
            cells = row.cells
            line = _line(cells[stock], cells[quantity], cells[price], refund=refund)
            if isinstance(line, Bad):
                yield Skipped(row.number, *line)
            else:
                lines.append(line)
        if not lines:
            return
        user = text(first[customer])
        subject = (
            {"anonymous_id": f"invoice-{number_of}"} if user is None else {"user_id": user.removesuffix(".0")}
        )
        for part in _parts(lines, self.most_items):
            yield {
                "event_name": "refund" if refund else "purchase",
                "event_time": event_time,
                **subject,
                "items": _items(part),
                "value": round(sum(line.quantity * line.price for line in part), 2),
                "currency": "GBP",
                "properties": {"invoice": number_of},
            }


def _time(cell: Any) -> int | None:
    event_time = epoch_ms(cell)
    if event_time is None and isinstance(cell, str):
        return from_pattern(cell, "%m/%d/%Y %H:%M")
    return event_time


def _line(stock: Any, quantity: Any, price: Any, *, refund: bool) -> _Line | Bad:
    code, count, each = text(stock), number(quantity), number(price)
    if code is None:
        return Bad("missing_field", "StockCode is empty")
    if count is None or each is None:
        return Bad("bad_number", f"Quantity {quantity!r}, UnitPrice {price!r}")
    if each < 0:
        return Bad("correction", f"UnitPrice {price!r} of {code}")
    if refund:
        count = -count
    if code.upper() in _SERVICES:
        return _Line(None, count, each)
    if count <= 0:
        return Bad("correction", f"Quantity {quantity!r} of {code}")
    return _Line(code, count, each)


def _parts(lines: Sequence[_Line], most: int) -> Iterable[Sequence[_Line]]:
    """Cut the lines so that no part has more than `most` items; lines of one item stay together."""
    by_item: dict[str | None, list[_Line]] = {}
    for line in lines:
        by_item.setdefault(line.item, []).append(line)
    groups = list(by_item.values())
    for start in range(0, len(groups), most):
        yield [line for group in groups[start : start + most] for line in group]


def _items(lines: Sequence[_Line]) -> list[EventDict]:
    items: dict[str, EventDict] = {}
    for line in lines:
        if line.item is None:
            continue
        item = items.setdefault(
            line.item, without_nones({"item_id": line.item, "price": line.price or None, "quantity": 0})
        )
        item["quantity"] += line.quantity
    return list(items.values())
