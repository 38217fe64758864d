"""Diginetica (CIKM Cup 2016): train-item-views.csv."""

from collections.abc import Sequence
from typing import Any, ClassVar

from streams.sources.head import Columns
from streams.sources.layout import Bad, Convert, EventDict, TableLayout
from streams.sources.values import epoch_ms, number, text


class DigineticaLayout(TableLayout):
    """One row is one view; its time is the day plus the milliseconds since the session's first query."""

    name: ClassVar[str] = "diginetica"
    title: ClassVar[str] = "Diginetica train-item-views.csv"
    wanted: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("session_id",),
        ("user_id",),
        ("item_id",),
        ("timeframe",),
        ("eventdate",),
    )

    def converter(self, columns: Columns) -> Convert:
        """Return the converter of a row."""
        session, user, item, timeframe, date = (columns.at(*aliases) for aliases in self.wanted)

        def convert(cells: Sequence[Any]) -> EventDict | Bad:
            day, since = epoch_ms(cells[date]), number(cells[timeframe])
            if day is None or since is None:
                return Bad("bad_time", f"eventdate {cells[date]!r}, timeframe {cells[timeframe]!r}")
            session_id, item_id = text(cells[session]), text(cells[item])
            if session_id is None or item_id is None:
                return Bad("missing_field", "session_id or item_id is empty")
            user_id = text(cells[user])
            subject = {"anonymous_id": session_id} if user_id is None else {"user_id": user_id}
            return {
                "event_name": "view_item",
                "event_time": day + int(since),
                **subject,
                "session_id": session_id,
                "item_id": item_id,
            }

        return convert
