"""OTTO's recommender data set: one session a line, with its clicks, carts and orders."""

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from streams.sources.files import InputFile
from streams.sources.head import Head
from streams.sources.layout import EventDict, Layout, Read, Skipped, row_id

_NAMES = {"clicks": "view_item", "carts": "add_to_cart", "orders": "purchase"}


class _Action(msgspec.Struct):
    aid: int
    ts: int
    type: str


class _Session(msgspec.Struct):
    session: int
    events: list[_Action]


class OttoLayout(Layout):
    """Sessions lie one after the other, so their events are in time order only after sorting."""

    name: ClassVar[str] = "otto"
    title: ClassVar[str] = "OTTO sessions, one JSON object a line"

    def confidence(self, head: Head) -> float:
        """Return .98 if the objects are sessions with events that have aid, ts and type."""
        fitting = [item for item in head.objects if "session" in item and _has_actions(item.get("events"))]
        return 0.98 if fitting else 0.0

    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield the events of one session after the other."""
        del head
        decode = msgspec.json.Decoder(_Session).decode
        for number, line in enumerate(source.lines(), start=1):
            if not line.strip():
                continue
            try:
                session = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield Skipped(number, "not_a_session", str(error))
                continue
            yield from self._actions(session, number)

    def _actions(self, session: _Session, number: int) -> Iterator[EventDict | Skipped]:
        subject = str(session.session)
        for place, action in enumerate(session.events):
            name = _NAMES.get(action.type)
            if name is None:
                yield Skipped(number, "unknown_event", f"type {action.type!r}")
                continue
            identity = f"{place}:{action.aid}:{action.ts}:{action.type}".encode()
            yield {
                "event_id": row_id(self.name, session.session, identity),
                "event_name": name,
                # The first release has milliseconds, the later Parquet ones seconds.
                "event_time": action.ts if action.ts > 100_000_000_000 else action.ts * 1000,
                "anonymous_id": subject,
                "session_id": subject,
                "item_id": str(action.aid),
            }


def _has_actions(events: Any) -> bool:
    return (
        isinstance(events, list)
        and bool(events)
        and isinstance(events[0], dict)
        and {"aid", "ts", "type"} <= events[0].keys()
    )
