"""Any table, by a mapping of its columns; without one, by columns that bear the names of the fields."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from streams.errors import SourceError
from streams.sources.files import InputFile
from streams.sources.head import Columns, Head, plain
from streams.sources.layout import Bad, Convert, EventDict, Read, TableLayout
from streams.sources.mapping import FIELDS, FieldMapping
from streams.sources.names import event_name
from streams.sources.values import epoch_ms, from_pattern, number, text

_ITEM_FIELDS = ("item_id", "item_category", "item_brand", "price", "quantity")
_NUMBERS = ("price", "quantity", "value", "rating")


class MappedLayout(TableLayout):
    """One row is one event; known names of other trackers are translated to GA4's.

    Parameters
    ----------
    mapping
        Where each field comes from; None looks for columns with the fields' own names.
    """

    name: ClassVar[str] = "csv"
    title: ClassVar[str] = "any CSV, TSV or Parquet, by --map or columns with the fields' names"
    wanted: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __init__(self, mapping: FieldMapping | None = None) -> None:
        self._mapping = mapping

    def confidence(self, head: Head) -> float:
        """Return 1 with a mapping, .7 if name, time and subject have columns of their own names, else 0."""
        if head.columns is None:
            return 0.0
        if self._mapping is not None:
            return 1.0
        return 0.7 if _own_names(head.columns) is not None else 0.0

    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield one event a row."""
        if head.columns is None:
            raise SourceError(f"{head.name}: a mapping needs a table with a header line")
        return super().read(source, head)

    def converter(self, columns: Columns) -> Convert:
        """Return the converter of a row.

        Raises
        ------
        SourceError
            If a mapped column does not exist, or nothing is mapped and the names do not say enough.
        """
        mapping = self._mapping or _own_names(columns)
        if mapping is None:
            raise SourceError(
                f"no columns event_time, event_name and user_id among {', '.join(columns.names)}; use --map"
            )
        take = _getters(mapping, columns)
        time, name = take.pop("event_time"), take.pop("event_name")
        read_time = _time_reader(mapping.time_pattern)
        item_fields = [(field, take.pop(field)) for field in _ITEM_FIELDS if field in take]
        fields = list(take.items())

        def convert(cells: Sequence[Any]) -> EventDict | Bad:
            event_time = read_time(time(cells))
            if event_time is None:
                return Bad("bad_time", f"{time(cells)!r} is no known form of a time")
            given = text(name(cells))
            if given is None:
                return Bad("missing_field", "the event name is empty")
            event = {
                "event_name": mapping.translations.get(given) or event_name(given),
                "event_time": event_time,
            }
            event |= _filled(fields, cells)
            item = _filled(item_fields, cells)
            if "item_id" in item:
                event["items"] = [item]
            if "user_id" not in event and "anonymous_id" not in event:
                return Bad("no_subject", "neither user_id nor anonymous_id is filled")
            return event

        return convert


Getter = Callable[[Sequence[Any]], Any]


def _getters(mapping: FieldMapping, columns: Columns) -> dict[str, Getter]:
    def constant(value: str) -> Getter:
        return lambda _: value

    def column(name: str, source: str) -> Getter:
        index = columns.names.index(source) if source in columns.names else columns.find(source)
        if index is None:
            raise SourceError(f"--map {name}={source}: the columns are {', '.join(columns.names)}")
        return lambda cells: cells[index]

    found = {name: constant(value) for name, value in mapping.constants.items()}
    return found | {name: column(name, source) for name, source in mapping.columns.items()}


def _filled(fields: Sequence[tuple[str, Getter]], cells: Sequence[Any]) -> EventDict:
    event: EventDict = {}
    for name, get in fields:
        cell = get(cells)
        # A number that cannot be read stays as it is, so that the worker rejects the event and says why.
        value = text(cell) if name not in _NUMBERS else _number_or_text(cell)
        if value is not None:
            event[name] = value
    return event


def _number_or_text(cell: Any) -> float | str | None:
    value = number(cell)
    return text(cell) if value is None else value


def _time_reader(pattern: str) -> Callable[[Any], int | None]:
    if not pattern:
        return epoch_ms
    return lambda cell: from_pattern(str(cell), pattern)


def _own_names(columns: Columns) -> FieldMapping | None:
    found = {field: columns.names[index] for field in FIELDS if (index := columns.find(field)) is not None}
    if {"event_time", "event_name"} <= found.keys() and {"user_id", "anonymous_id"} & found.keys():
        return FieldMapping(found)
    return None


def guesses(columns: Columns) -> dict[str, str]:
    """Return fields and the columns that may hold them, for a message that shows how to map.

    >>> guesses(Columns(["ts", "customer", "sku"]))
    {'event_time': 'ts', 'user_id': 'customer', 'item_id': 'sku'}
    """
    found = {}
    for field, aliases in _LIKELY.items():
        for name in columns.names:
            if plain(name) in aliases:
                found[field] = name
                break
    return found


_LIKELY = {
    "event_time": {"eventtime", "timestamp", "ts", "time", "date", "datetime", "createdat", "occurredat"},
    "event_name": {"eventname", "event", "eventtype", "type", "action", "behavior", "behaviour"},
    "user_id": {"userid", "user", "customerid", "customer", "visitorid", "memberid", "clientid"},
    "item_id": {"itemid", "item", "productid", "product", "sku", "articleid", "aid", "stockcode"},
    "session_id": {"sessionid", "session", "usersession"},
    "price": {"price", "unitprice"},
}
