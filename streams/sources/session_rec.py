"""SessionId, ItemId, Time tables, by which session-based recommenders are judged (session-rec, serenade)."""

from collections.abc import Sequence
from typing import Any, ClassVar

from streams.sources.head import Columns
from streams.sources.layout import Bad, Convert, EventDict, TableLayout
from streams.sources.values import epoch_ms, text


class SessionRecLayout(TableLayout):
    """One row is one view; a session stands for its visitor unless there is a UserId."""

    name: ClassVar[str] = "session-rec"
    title: ClassVar[str] = "SessionId, ItemId, Time tables of session-rec and serenade"
    wanted: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("SessionId", "session"),
        ("ItemId", "item"),
        ("Time", "timestamp"),
    )

    def converter(self, columns: Columns) -> Convert:
        """Return the converter of a row."""
        session, item, time = (columns.at(*aliases) for aliases in self.wanted)
        user = columns.find("UserId")

        def convert(cells: Sequence[Any]) -> EventDict | Bad:
            event_time = epoch_ms(cells[time])
            if event_time is None:
                return Bad("bad_time", f"Time {cells[time]!r}")
            session_id, item_id = text(cells[session]), text(cells[item])
            if session_id is None or item_id is None:
                return Bad("missing_field", "SessionId or ItemId is empty")
            user_id = None if user is None else text(cells[user])
            subject = {"anonymous_id": session_id} if user_id is None else {"user_id": user_id}
            return {
                "event_name": "view_item",
                "event_time": event_time,
                **subject,
                "session_id": session_id,
                "item_id": item_id,
            }

        return convert
