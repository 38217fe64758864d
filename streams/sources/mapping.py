"""How the columns of any table become the fields of an event: what `--map` says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import msgspec

from streams.errors import SourceError

FIELDS: Final = (
    "event_id",
    "event_name",
    "event_time",
    "user_id",
    "anonymous_id",
    "session_id",
    "item_id",
    "item_category",
    "item_brand",
    "price",
    "quantity",
    "value",
    "currency",
    "search_term",
    "rating",
    "text",
)
"""The fields a mapping may fill."""

HINT: Final = "--map event_time=COLUMN --map user_id=COLUMN --map event_name:=view_item --map item_id=COLUMN"


@dataclass(frozen=True)
class FieldMapping:
    """Where each field of an event comes from.

    Parameters
    ----------
    columns
        Field to column.
    constants
        Field to the text that every event gets.
    translations
        Words of the event name column to event names.
    time_pattern
        A `strptime` pattern for event_time; empty reads ISO 8601 and epoch numbers.
    """

    columns: Mapping[str, str]
    constants: Mapping[str, str] = field(default_factory=dict)
    translations: Mapping[str, str] = field(default_factory=dict)
    time_pattern: str = ""

    def __post_init__(self) -> None:
        """Check that the fields exist and that those every event needs are filled.

        Raises
        ------
        SourceError
            If a field is unknown, or time, subject or name of the events are not mapped.
        """
        filled = {*self.columns, *self.constants}
        for name in filled:
            if name not in FIELDS:
                raise SourceError(f"--map {name}: no such field; the fields are {', '.join(FIELDS)}")
        if "event_time" not in filled:
            raise SourceError(f"the mapping says nothing about event_time; for instance {HINT}")
        if not filled & {"user_id", "anonymous_id"}:
            raise SourceError(f"the mapping fills neither user_id nor anonymous_id; for instance {HINT}")
        if "event_name" not in filled:
            raise SourceError(f"the mapping says nothing about event_name; for instance {HINT}")

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Read the arguments of `--map`.

        ``field=column`` takes a column, ``field:=text`` (or ``field='"text"'``) gives every event the same
        text, ``event_name[word]=name`` translates a word of the name column, and
        ``event_time[format]=%d.%m.%Y`` says how times are written.

        >>> mapping = FieldMapping.parse(["user_id=customer", "event_time=ts", "event_name:=purchase"])
        >>> mapping.columns["user_id"], mapping.constants
        ('customer', {'event_name': 'purchase'})
        """
        return cls.of(dict(_split(text) for text in texts))

    @classmethod
    def of(cls, entries: Mapping[str, str]) -> Self:
        """Return the mapping that a dictionary in the notation of `parse` describes.

        >>> FieldMapping.of({"user_id": "u", "event_time": "t", "event_name": '"view_item"'}).constants
        {'event_name': 'view_item'}
        """
        columns: dict[str, str] = {}
        constants: dict[str, str] = {}
        translations: dict[str, str] = {}
        pattern = ""
        for name, source in entries.items():
            if name == "event_time[format]":
                pattern = source
            elif name.startswith("event_name[") and name.endswith("]"):
                translations[name[len("event_name[") : -1]] = source
            elif len(source) >= 2 and source[0] == source[-1] == '"':
                constants[name] = msgspec.json.decode(source, type=str)
            else:
                columns[name] = source
        return cls(columns, constants, translations, pattern)


def _split(argument: str) -> tuple[str, str]:
    name, equals, source = argument.partition("=")
    if not equals or not name or not source:
        raise SourceError(f"--map {argument}: expected FIELD=COLUMN or FIELD:=TEXT")
    if name.endswith(":"):
        return name[:-1], msgspec.json.encode(source).decode()
    return name, source
