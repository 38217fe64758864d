"""Columns of the simulator as event dictionaries."""

from collections import deque
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, Final

from online_models.events import EVENT_NAMES, KIND
from streams.sources.simulator.catalogue import Catalogue
from streams.sources.simulator.columns import EventColumns
from streams.sources.simulator.population import user_name
from streams.sources.simulator.visits import SEARCH_BRAND, SEARCH_CATEGORY

CURRENCY: Final = "EUR"
_NAMES: Final = (*EVENT_NAMES[:-1], "page_view")
_LIST: Final = KIND["view_item_list"]
_SEARCH: Final = KIND["search"]
_PURCHASE: Final = KIND["purchase"]
_REFUND: Final = KIND["refund"]
_REVIEW: Final = KIND["review_submitted"]
_SUPPORT: Final = KIND["support_message"]

_REFUND_DAYS: Final = 10

_PRAISE: Final = {
    1: ("Broke after two days.", "A waste of money, I am sending it back.", "Not at all as described."),
    2: ("Poor quality for this price.", "Disappointed, expected much more."),
    3: ("It is okay.", "Does its job, nothing special.", "Fine, but delivery took long."),
    4: ("Good quality, would buy again.", "Happy with it.", "Looks nice and arrived quickly."),
    5: ("Love it!", "Perfect, exactly what I wanted.", "Excellent quality and fast delivery."),
}
_PROBLEMS: Final = (
    "My parcel still has not arrived. Where is my order?",
    "The item arrived broken. I want my money back.",
    "You sent me the wrong item. This is really annoying.",
)

Basket = tuple[list[dict[str, Any]], float]


class Emitter:
    """Turns columns into events; keeps the number of the next event and the newest baskets.

    Parameters
    ----------
    catalogue
        Names and prices of items.
    prefix
        Of the event ids.
    """

    def __init__(self, catalogue: Catalogue, prefix: str) -> None:
        self._catalogue = catalogue
        self._prefix = prefix
        self._count = 0
        self._price_version = -1
        self._users: list[str] = []
        self._baskets: dict[int, Basket] = {}
        self._newest_of_day: deque[int] = deque([-1] * _REFUND_DAYS, _REFUND_DAYS)
        self._rows: list[list[dict[str, Any]]] = []
        self._families: dict[int, list[dict[str, Any]]] = {}

    def begin_day(self) -> None:
        """Take today's prices and families, and forget baskets too old to be refunded."""
        for key in list(takewhile(self._newest_of_day[0].__ge__, self._baskets)):
            del self._baskets[key]
        self._newest_of_day.append(next(reversed(self._baskets), -1))
        if self._price_version != self._catalogue.price_version:
            self._price_version = self._catalogue.price_version
            self._rows = [[row] for row in self._catalogue.rows()]
        self._families = {}

    def keep_basket(self, key: int, items: list[int]) -> None:
        """Remember what a purchase holds, at today's prices."""
        rows = [{**self._rows[item][0], "quantity": 2 if (key + item) % 7 == 0 else 1} for item in items]
        value = round(sum(row["price"] * row["quantity"] for row in rows), 2)
        self._baskets[key] = (rows, value)

    def events(self, columns: EventColumns, users: int) -> Iterator[dict[str, Any]]:
        """Yield the events; lists of items are shared between events and must not be changed."""
        self._users += map(user_name, range(len(self._users), users))
        names, rows, prefix = self._users, self._rows, self._prefix
        for time, kind, user, session, item, payload in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            self._count += 1
            event: dict[str, Any] = {
                "event_id": f"{prefix}{self._count}",
                "event_name": _NAMES[kind],
                "event_time": time,
            }
            if user >= 0:
                event["user_id"] = names[user]
            else:
                event["anonymous_id"] = f"visitor-{-1 - user:07d}"
            if session:
                event["session_id"] = f"s{session}"
            if payload >= 0 or kind == _LIST:
                self._complete(event, kind, item, payload)
            elif item >= 0:
                event["items"] = rows[item]
            yield event

    def _complete(self, event: dict[str, Any], kind: int, item: int, payload: int) -> None:
        if kind == _LIST:
            event["items"] = self._family(item)
        elif kind == _SEARCH:
            event["search_term"] = self._search_term(item, payload)
        elif kind in {_PURCHASE, _REFUND}:
            event["items"], event["value"] = self._baskets[payload]
            event["currency"] = CURRENCY
        elif kind == _REVIEW:
            event["items"] = self._rows[item]
            event["rating"] = payload
            event["text"] = _PRAISE[payload][self._count % len(_PRAISE[payload])]
        elif kind == _SUPPORT:
            event["text"] = _PROBLEMS[payload]

    def _family(self, item: int) -> list[dict[str, Any]]:
        found = self._families.get(item)
        if found is None:
            found = [self._rows[other][0] for other in self._catalogue.family(item)]
            self._families[item] = found
        return found

    def _search_term(self, item: int, style: int) -> str:
        row = self._rows[item][0]
        category = str(row["item_category"]).replace("-", " ")
        if style == SEARCH_CATEGORY:
            return category
        return f"{row['item_brand']} {category}" if style == SEARCH_BRAND else f"cheap {category}"
