"""Types of fields that several documents share, with their limits and their meaning."""

from typing import Annotated, Final

from msgspec import Meta

EARLIEST_MS: Final = 10_000_000_000
"""Earliest event time (1970-04-26): every epoch time given in seconds by mistake lies below it."""

LATEST_MS: Final = 4_102_444_800_000
"""Event times end before 2100-01-01: every epoch time given in microseconds by mistake lies above it."""

MAX_AMOUNT: Final = 1e12
MAX_ITEMS: Final = 200
MAX_ID: Final = 128
MAX_SUBJECT: Final = MAX_ID + 2
"""Length of an id with `u:` or `a:` before it."""

_PRINTABLE: Final = r"^[^\u0000-\u001f\u007f]*[^\s\u0000-\u001f\u007f][^\u0000-\u001f\u007f]*$"
"""Not blank and without control characters; `streams.decode` judges the same without a regular expression."""

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID, extra_json_schema={"pattern": _PRINTABLE})]
EventId = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema={"pattern": _PRINTABLE})]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Label = Annotated[str, Meta(max_length=256)]
Amount = Annotated[float, Meta(ge=0.0, le=MAX_AMOUNT)]
EpochMs = Annotated[int, Meta(ge=EARLIEST_MS, lt=LATEST_MS)]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]
