"""CDNOW_master.txt: the purchases of the 23,570 customers who came to CDNOW in early 1997."""

from collections.abc import Iterator
from typing import ClassVar

from streams.sources.files import InputFile
from streams.sources.head import Head
from streams.sources.layout import Bad, EventDict, Layout, Read, Skipped, row_id
from streams.sources.values import epoch_ms, number


class CdnowLayout(Layout):
    """Customer, day, number of CDs and dollars, apart by blanks; there are no item ids.

    The file is ordered by customer, so it is in time order only after sorting. Days begin at midnight UTC.
    """

    name: ClassVar[str] = "cdnow"
    title: ClassVar[str] = "CDNOW_master.txt: customer, day, CDs, dollars"

    def confidence(self, head: Head) -> float:
        """Return .95 if most rows are four blank-separated numbers, the second a day."""
        rows = [line.split() for line in head.texts]
        if rows and rows[0][:2] == ["customer_id", "date"]:
            rows = rows[1:]
        fitting = [isinstance(self._event(cells), dict) for cells in rows[:10]]
        return 0.95 if fitting and 2 * sum(fitting) > len(fitting) else 0.0

    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield one purchase a row."""
        del head
        for line_number, line in enumerate(source.lines(), start=1):
            cells = line.decode("latin-1").split()
            if not cells or (line_number == 1 and cells[0] == "customer_id"):
                continue
            event = self._event(cells)
            if isinstance(event, Bad):
                yield Skipped(line_number, *event)
            else:
                event["event_id"] = row_id(self.name, line_number, line.strip())
                yield event

    @staticmethod
    def _event(cells: list[str]) -> EventDict | Bad:
        if len(cells) != 4:
            return Bad("wrong_columns", f"{len(cells)} cells where 4 are expected")
        customer, day, discs, dollars = cells
        event_time = epoch_ms(day) if len(day) == 8 else None
        if event_time is None:
            return Bad("bad_time", f"date {day!r}")
        quantity, value = number(discs), number(dollars)
        if quantity is None or value is None:
            return Bad("bad_number", f"number of CDs {discs!r}, dollars {dollars!r}")
        return {
            "event_name": "purchase",
            "event_time": event_time,
            "user_id": customer,
            "value": value,
            "currency": "USD",
            "properties": {"quantity": int(quantity)},
        }
