"""Catalogues in files: JSON lines, or tables with a header, such as product feeds."""

import csv
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from streams.errors import SourceError
from streams.schemas import CatalogItem
from streams.sources.files import InputFile
from streams.sources.values import epoch_ms, number, text

_ALIASES: Final = {
    "item_id": ("item_id", "id", "sku", "product_id"),
    "category": ("category", "item_category", "product_type", "google_product_category"),
    "brand": ("brand", "item_brand"),
    "price": ("price",),
    "available": ("available", "availability", "in_stock"),
    "title": ("title", "name", "item_name"),
    "since": ("since", "availability_date", "created_at"),
}
"""By field: the columns that hold it, the first that there is; also the names of product feeds."""

_YES: Final = frozenset({"true", "1", "yes", "in stock", "in_stock", "instock", "limited_availability"})
_NO: Final = frozenset(
    {
        "false",
        "0",
        "no",
        "out of stock",
        "out_of_stock",
        "outofstock",
        "discontinued",
        "preorder",
        "backorder",
    }
)
_DELIMITERS: Final = ",;\t|"


class BadItem(NamedTuple):
    """A row that is no item: its line in the file, from 1, and why."""

    line: int
    reason: str


def catalogue_items(source: InputFile) -> Iterator[CatalogItem | BadItem]:
    """Yield the items of a file, and what stands in their place where one cannot be read.

    Parameters
    ----------
    source
        One JSON object a line, or delimited text whose header names the columns.

    Raises
    ------
    SourceError
        If it is Parquet, or a table without a column of ids.
    """
    if source.is_parquet:
        raise SourceError(f"{source.name}: a catalogue is JSON lines or delimited text, not Parquet")
    if source.head and source.head[0].lstrip().startswith(b"{"):
        return (_from_line(number, line) for number, line in enumerate(source.lines(), 1) if line.strip())
    return _from_table(source)


def _from_line(line: int, raw: bytes) -> CatalogItem | BadItem:
    try:
        row = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadItem(line, str(error))
    return item_of(line, row)


def _from_table(source: InputFile) -> Iterator[CatalogItem | BadItem]:
    header = source.head[0].decode(errors="replace") if source.head else ""
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.DictReader(
        (line.decode(errors="replace") for line in source.lines()), delimiter=delimiter, strict=True
    )
    if not {name.strip().lower() for name in reader.fieldnames or ()} & set(_ALIASES["item_id"]):
        raise SourceError(f"{source.name}: no column is named {', '.join(_ALIASES['item_id'])}")
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield BadItem(reader.line_num, str(error))
            continue
        if row is None:
            return
        if None in row or None in row.values():
            yield BadItem(reader.line_num, "it has not as many cells as the header")
        else:
            yield item_of(reader.line_num, row)


def item_of(line: int, row: dict[Any, Any]) -> CatalogItem | BadItem:
    """Return a row of a file as an item.

    >>> item_of(2, {"id": "7", "availability": "in stock", "price": "12.50 EUR"}).price
    12.5
    >>> item_of(3, {"id": "7", "available": "perhaps"})
    BadItem(line=3, reason="available must be true or false, not 'perhaps'")
    """
    cells = {str(name).strip().lower(): value for name, value in row.items()}
    found: dict[str, Any] = {}
    for field, names in _ALIASES.items():
        cell = next((cells[name] for name in names if text(cells.get(name)) is not None), None)
        if cell is None:
            continue
        value = _READERS.get(field, text)(cell)
        if value is None:
            return BadItem(line, f"{field} must be {_NEEDED[field]}, not {str(cell)[:80]!r}")
        found[field] = value
    try:
        return msgspec.convert(found, CatalogItem)
    except msgspec.ValidationError as error:
        return BadItem(line, str(error))


def _price(cell: Any) -> float | None:
    """Return a price; product feeds write the currency behind it."""
    return number(cell.split()[0] if isinstance(cell, str) else cell)


def _switch(cell: Any) -> bool | None:
    if isinstance(cell, bool):
        return cell
    word = str(cell).strip().lower()
    return True if word in _YES else False if word in _NO else None


_READERS: Final = {"price": _price, "available": _switch, "since": epoch_ms}
_NEEDED: Final = {"price": "a number", "available": "true or false", "since": "a time"}
