"""The first rows of a file, looked at in every way a layout may ask for."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from streams.errors import SourceError
from streams.sources.files import InputFile

DELIMITERS: Final = ",\t;|"


def plain(name: str) -> str:
    """Return a column name in the spelling under which layouts look for it.

    >>> plain("Customer ID") == plain("customer_id") == plain("CustomerID")
    True
    """
    return "".join(character for character in name.lower() if character.isalnum())


class Columns:
    """The column names of a table, found by any of their aliases.

    Parameters
    ----------
    names
        As the file spells them, in the order of the cells.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(name.strip() for name in names)
        self._index = {plain(name): index for index, name in reversed(list(enumerate(self.names)))}

    def find(self, *aliases: str) -> int | None:
        """Return the index of the first alias that exists; None if none does.

        >>> Columns(["Invoice", "Customer ID"]).find("customer_id", "CustomerID")
        1
        """
        for alias in aliases:
            index = self._index.get(plain(alias))
            if index is not None:
                return index
        return None

    def at(self, *aliases: str) -> int:
        """Return the index of a column that was checked to exist."""
        index = self.find(*aliases)
        assert index is not None, aliases
        return index

    def has_all(self, wanted: Iterable[tuple[str, ...]]) -> bool:
        """Return whether every wanted column exists under one of its aliases."""
        return all(self.find(*aliases) is not None for aliases in wanted)


@dataclass(frozen=True)
class Head:
    """The first rows of a file.

    Parameters
    ----------
    name
        Of the file, for messages.
    lines
        The first lines with their line ends; empty for Parquet.
    names
        Column names where the first line does not hold them: of Parquet, or of a layout without a header.
    """

    name: str
    lines: Sequence[bytes]
    names: Sequence[str] | None = None

    @property
    def has_header(self) -> bool:
        """Whether the first line holds the column names."""
        return self.names is None

    @cached_property
    def texts(self) -> list[str]:
        """The first lines as text without their ends, blank ones left out."""
        stripped = (line.decode("utf-8", "replace").rstrip("\r\n") for line in self.lines)
        return [line for line in stripped if line.strip()]

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON objects among the first lines."""
        found = []
        for line in self.lines:
            try:
                value = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if isinstance(value, dict):
                found.append(value)
        return found

    @cached_property
    def is_json(self) -> bool:
        """Whether the lines look like JSON objects, broken or not."""
        return bool(self.texts) and self.texts[0].lstrip().startswith("{")

    @cached_property
    def delimiter(self) -> str:
        """The delimiter that cuts the first line into most cells."""
        first = self.texts[0] if self.texts else ""
        return max(DELIMITERS, key=first.count)

    @cached_property
    def cells(self) -> list[list[str]]:
        """The cells of the first lines."""
        return list(csv.reader(self.texts, delimiter=self.delimiter))

    @cached_property
    def columns(self) -> Columns | None:
        """The column names, if the first line can be a header."""
        if self.names is not None:
            return Columns(self.names)
        if not self.cells or self.is_json:
            return None
        return Columns(self.cells[0])

    def columns_for(self, layout: str, wanted: Iterable[tuple[str, ...]]) -> Columns:
        """Return the columns, or say which of the wanted ones are missing.

        Raises
        ------
        SourceError
            If a wanted column does not exist.
        """
        columns = self.columns
        if columns is None:
            raise SourceError(f"{self.name}: the layout {layout} needs a table with a header line")
        missing = [aliases[0] for aliases in wanted if columns.find(*aliases) is None]
        if missing:
            raise SourceError(
                f"{self.name}: the layout {layout} needs the columns {', '.join(missing)};"
                f" the file has {', '.join(columns.names)}"
            )
        return columns


def head_of(source: InputFile) -> Head:
    """Return the head of an open file."""
    if not source.is_parquet:
        return Head(source.name, source.head)
    from streams.sources.tables import parquet_file  # noqa: PLC0415  # only Parquet needs it

    return Head(source.name, [], names=parquet_file(source).schema_arrow.names)
