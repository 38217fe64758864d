"""RetailRocket's events.csv: what visitors of a shop did over four and a half months."""

from collections.abc import Sequence
from typing import Any, ClassVar

from streams.sources.head import Columns
from streams.sources.layout import Bad, Convert, EventDict, TableLayout
from streams.sources.values import epoch_ms, text

_NAMES = {"view": "view_item", "addtocart": "add_to_cart", "transaction": "purchase"}


class RetailRocketLayout(TableLayout):
    """One row is one action on one item; a visitor id lives as long as the log, so it is the user."""

    name: ClassVar[str] = "retailrocket"
    title: ClassVar[str] = "RetailRocket events.csv"
    wanted: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("timestamp",),
        ("visitorid",),
        ("event",),
        ("itemid",),
        ("transactionid",),
    )

    def converter(self, columns: Columns) -> Convert:
        """Return the converter of a row."""
        time, visitor, name, item, transaction = (columns.at(*aliases) for aliases in self.wanted)

        def convert(cells: Sequence[Any]) -> EventDict | Bad:
            event_time = epoch_ms(cells[time])
            if event_time is None:
                return Bad("bad_time", f"timestamp {cells[time]!r}")
            user, item_id = text(cells[visitor]), text(cells[item])
            if user is None or item_id is None:
                return Bad("missing_field", "visitorid or itemid is empty")
            event_name = _NAMES.get(cells[name])
            if event_name is None:
                return Bad("unknown_event", f"event {cells[name]!r}")
            event = {"event_name": event_name, "event_time": event_time, "user_id": user, "item_id": item_id}
            order = text(cells[transaction])
            if order is not None:
                event["properties"] = {"transaction_id": order}
            return event

        return convert
