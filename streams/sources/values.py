"""Cells as ids, numbers and times."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_EMPTY: Final = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})


def text(cell: Any) -> str | None:
    """Return a cell as an id or a name; None where it is empty.

    >>> text(" 17 "), text(17), text(17.0), text("NA"), text(None)
    ('17', '17', '17', None, None)
    """
    if type(cell) is str:
        cell = cell.strip()
        return None if cell in _EMPTY else cell
    if cell is None:
        return None
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return str(cell)


def number(cell: Any) -> float | None:
    """Return a cell as a finite number; None where it is none.

    >>> number("2.50"), number(3), number("1e999"), number("")
    (2.5, 3.0, None, None)
    """
    if cell is None:
        return None
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def epoch_ms(cell: Any) -> int | None:
    """Return a time as epoch milliseconds; None where it cannot be read.

    ISO 8601 with a space or a T, with or without a zone (none is UTC), with a trailing " UTC"; yyyymmdd;
    numbers since 1970 in seconds, milliseconds, microseconds or nanoseconds, told apart by their size.

    >>> epoch_ms("2019-10-01 00:00:01 UTC") == epoch_ms("1569888001") == epoch_ms(1569888001000)
    True
    >>> epoch_ms("19970101"), epoch_ms("yesterday")
    (852076800000, None)
    """
    if isinstance(cell, str):
        return _from_text(cell.strip())
    if isinstance(cell, datetime):
        return from_datetime(cell)
    if isinstance(cell, date):
        return from_datetime(datetime(cell.year, cell.month, cell.day, tzinfo=UTC))
    value = number(cell)
    return None if value is None else _from_number(value)


def from_datetime(moment: datetime) -> int:
    """Return epoch milliseconds; a moment without a zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MS


def from_pattern(cell: str, pattern: str) -> int | None:
    """Return a time written in a `strptime` pattern as epoch milliseconds; None where it does not fit.

    >>> from_pattern("31.12.2020 23:59", "%d.%m.%Y %H:%M")
    1609459140000
    """
    try:
        return from_datetime(datetime.strptime(cell.strip(), pattern))  # noqa: DTZ007  # no zone is UTC
    except ValueError:
        return None


def _from_text(cell: str) -> int | None:
    if len(cell) == 8 and cell.isdigit() and cell[:2] in {"19", "20"}:
        cell = f"{cell[:4]}-{cell[4:6]}-{cell[6:]}"
    if cell[4:5] == "-":
        try:
            return from_datetime(datetime.fromisoformat(cell.removesuffix(" UTC")))
        except ValueError:
            return None
    value = number(cell)
    return None if value is None else _from_number(value)


def _from_number(value: float) -> int | None:
    size = abs(value)
    if size < 1e11:
        return round(value * 1000)
    if size < 1e14:
        return round(value)
    if size < 1e17:
        return int(value // 1000)
    return int(value // 1_000_000) if size < 1e20 else None
