"""YooChoose (RecSys Challenge 2015): the raw clicks and buys, two files without header lines."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final

from streams.sources.files import InputFile
from streams.sources.head import Columns, Head
from streams.sources.layout import (
    Bad,
    Convert,
    EventDict,
    GroupedLayout,
    Read,
    Skipped,
    TableLayout,
    without_nones,
)
from streams.sources.tables import Row
from streams.sources.values import epoch_ms, number, text

_CLICKS: Final = ("session", "timestamp", "item", "category")
_BUYS: Final = ("session", "timestamp", "item", "price", "quantity")


def _with_columns(head: Head) -> Head:
    """Return the head with the column names that the file does not have, when it has none."""
    if not head.has_header or not _headless(head):
        return head
    return Head(head.name, head.lines, names=_CLICKS if len(head.cells[0]) == 4 else _BUYS)


def _headless(head: Head) -> bool:
    return bool(head.cells) and head.cells[0][0].isdigit()


def _fits(head: Head, width: int) -> bool:
    if not head.has_header or head.is_json or not head.cells or head.delimiter != ",":
        return False
    return all(
        len(cells) == width
        and cells[0].isdigit()
        and cells[1].endswith("Z")
        and epoch_ms(cells[1]) is not None
        for cells in head.cells[:5]
    )


class YooChooseClicksLayout(TableLayout):
    """One row is one view; category 0 means unknown and S a special offer."""

    name: ClassVar[str] = "yoochoose-clicks"
    title: ClassVar[str] = "YooChoose clicks: session, time, item, category"
    wanted: ClassVar[tuple[tuple[str, ...], ...]] = tuple((name,) for name in _CLICKS)

    def confidence(self, head: Head) -> float:
        """Return .95 if the first rows have four cells, a number and a time in front."""
        return 0.95 if _fits(head, 4) else 0.0

    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield one event a row; there is no header."""
        return super().read(source, _with_columns(head))

    def converter(self, columns: Columns) -> Convert:
        """Return the converter of a row."""
        session, time, item, category = (columns.at(*aliases) for aliases in self.wanted)

        def convert(cells: Sequence[Any]) -> EventDict | Bad:
            event_time = epoch_ms(cells[time])
            if event_time is None:
                return Bad("bad_time", f"timestamp {cells[time]!r}")
            session_id, item_id = text(cells[session]), text(cells[item])
            if session_id is None or item_id is None:
                return Bad("missing_field", "session or item is empty")
            known = None if cells[category] == "0" else text(cells[category])
            return {
                "event_name": "view_item",
                "event_time": event_time,
                "anonymous_id": session_id,
                "session_id": session_id,
                "items": [without_nones({"item_id": item_id, "item_category": known})],
            }

        return convert


class YooChooseBuysLayout(GroupedLayout):
    """Rows of one session and moment are one purchase; price and quantity 0 mean unknown."""

    name: ClassVar[str] = "yoochoose-buys"
    title: ClassVar[str] = "YooChoose buys: session, time, item, price, quantity"
    wanted: ClassVar[tuple[tuple[str, ...], ...]] = tuple((name,) for name in _BUYS)

    def confidence(self, head: Head) -> float:
        """Return .95 if the first rows have five cells, a number and a time in front."""
        return 0.95 if _fits(head, 5) else 0.0

    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield one event a purchase; there is no header."""
        return super().read(source, _with_columns(head))

    def group_key(self, columns: Columns) -> Callable[[Sequence[Any]], object]:
        """Return the function that gives session and time."""
        del columns
        return lambda cells: (cells[0], cells[1])

    def combine(self, rows: Sequence[Row], columns: Columns) -> Iterable[EventDict | Skipped]:
        """Yield the purchase."""
        del columns
        first = rows[0]
        event_time, session_id = epoch_ms(first.cells[1]), text(first.cells[0])
        if event_time is None or session_id is None:
            for row in rows:
                yield Skipped(row.number, "bad_time", f"timestamp {row.cells[1]!r}")
            return
        items = []
        for row in rows:
            item_id, price, quantity = text(row.cells[2]), number(row.cells[3]), number(row.cells[4])
            if item_id is None:
                yield Skipped(row.number, "missing_field", "item is empty")
                continue
            items.append(
                without_nones({"item_id": item_id, "price": price or None, "quantity": quantity or None})
            )
        value = sum(item.get("price", 0.0) * item.get("quantity", 1.0) for item in items)
        for start in range(0, len(items), self.most_items):
            yield without_nones(
                {
                    "event_name": "purchase",
                    "event_time": event_time,
                    "anonymous_id": session_id,
                    "session_id": session_id,
                    "items": items[start : start + self.most_items],
                    "value": value or None,
                }
            )
