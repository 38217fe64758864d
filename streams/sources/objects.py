"""Layouts in which every row is one JSON object: lines of JSON, or Parquet with nested columns."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import msgspec

from streams.sources.files import InputFile
from streams.sources.head import Head
from streams.sources.layout import Bad, EventDict, Layout, Read, Skipped, row_id
from streams.sources.tables import Row, table_rows


class ObjectLayout(Layout):
    """A layout in which every object is one event."""

    @abstractmethod
    def convert(self, item: dict[str, Any]) -> EventDict | Bad:
        """Turn an object into an event, with an id only if the object has one."""

    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield one event an object."""
        for number, raw, item in _objects(source, head):
            event = self.convert(item) if isinstance(item, dict) else item
            if isinstance(event, Bad):
                yield Skipped(number, *event)
            else:
                event.setdefault("event_id", row_id(self.name, number, raw))
                yield event


def _objects(source: InputFile, head: Head) -> Iterator[tuple[int, bytes, dict[str, Any] | Bad]]:
    if source.is_parquet:
        columns = head.columns
        assert columns is not None
        for row in table_rows(source, head, columns):
            assert isinstance(row, Row)
            yield row.number, row.raw, dict(zip(columns.names, row.cells, strict=True))
        return
    for number, line in enumerate(source.lines(), start=1):
        raw = line.strip()
        if not raw:
            continue
        try:
            item = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield number, raw, Bad("not_json", str(error))
            continue
        yield number, raw, item if isinstance(item, dict) else Bad("not_an_object", repr(item)[:80])
