"""Keepstream's own events, one JSON object a line; every line is sent on as it is."""

from collections.abc import Iterator
from typing import ClassVar

from streams.sources.files import InputFile
from streams.sources.head import Head
from streams.sources.layout import Layout, Read

_REQUIRED = ("event_id", "event_name", "event_time")


class NativeLayout(Layout):
    """Lines are passed on untouched, broken ones too: the worker says what is wrong with them."""

    name: ClassVar[str] = "keepstream"
    title: ClassVar[str] = "Keepstream events, one JSON object a line"

    def confidence(self, head: Head) -> float:
        """Return .95 if half of the lines have the required fields, .6 if fewer have."""
        if not head.is_json or not head.objects:
            return 0.0
        fitting = sum(all(name in item for name in _REQUIRED) for item in head.objects)
        if fitting and 2 * fitting >= len(head.texts):
            return 0.95
        return 0.6 if fitting else 0.0

    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield every line that is not blank, without its line end."""
        del head
        for line in source.lines():
            raw = line.rstrip(b"\r\n")
            if raw.strip():
                yield raw
