"""The items agent: counts the pairs of its partition and broadcasts neighbours that changed."""

from collections.abc import Iterable, Sequence
from typing import Any

from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.neighbours import NeighbourRow
from online_models.items.pairs import PairBatch
from online_models.items.settings import CooccurrenceSettings
from streams.agents.documents import item_profile, neighbours_documents
from streams.agents.internal import unpack_all
from streams.agents.report import Report
from streams.encode import encode_neighbours
from streams.engine.handler import Output, Record, Row


class ItemsHandler:
    """Owns the items of one partition of the item-pairs topic.

    Parameters
    ----------
    settings
        Of the store.
    partition
        Number of the partition, here and in the broadcast topic.
    neighbours
        Full name of the broadcast topic.
    report
        Takes what is measured.
    """

    def __init__(
        self, settings: CooccurrenceSettings, partition: int, neighbours: str, report: Report
    ) -> None:
        self.store = CooccurrenceStore(settings)
        self._partition, self._neighbours, self._report = partition, neighbours, report
        # Counters are there from the start: a first increment that comes with its series is no rate.
        report.outputs(neighbours, 0)
        for reason in self.store.evicted:
            report.evicted("items", reason, 0)

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load changelog rows."""
        self.store.restore(rows)

    def restored(self) -> None:
        """Finish loading."""
        self.store.restored()

    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        """Count touches and pairs, and return the neighbour rows that are due.

        Rows of evicted items are deleted first: an item that came back since has a new one among those due.
        """
        before = dict(self.store.evicted)
        sent_ms = [record.timestamp for record in records]
        self.store.apply_all(unpack_all(records, PairBatch.unpack), sent_ms)
        gone, due = self.store.withdrawn(), self.store.publish()
        if gone or self.store.evicted != before:
            for reason, count in self.store.evicted.items():
                self._report.evicted("items", reason, count - before[reason])
        self._report.state("items", self._partition, len(self.store), self.store.nbytes)
        deleted = [Output(self._neighbours, self._partition, item_id.encode(), None) for item_id in gone]
        return [*deleted, *self._published(due)]

    def tick(self, now_ms: int) -> Sequence[Output]:
        """Return the neighbour rows that have waited long enough; weights decay without ticks."""
        return self._published(self.store.publish(now_ms, now_ms))

    def idle(self, now_ms: int) -> Sequence[Output]:
        """Return the neighbour rows that waited for broker time only."""
        return self._published(self.store.publish(sent_ms=now_ms))

    def _published(self, due: Sequence[NeighbourRow]) -> list[Output]:
        if not due:
            return []
        self._report.outputs(self._neighbours, len(due))
        return [
            Output(self._neighbours, self._partition, key, value)
            for key, value in encode_neighbours(neighbours_documents(due))
        ]

    def dirty_rows(self) -> Sequence[Row]:
        """Return the rows changed since the last checkpoint."""
        return self.store.dirty_rows()

    def poison(self, record: Record, error: BaseException) -> Sequence[Output]:  # noqa: ARG002  # see below
        """Refuse: a record another worker wrote cannot be somebody's bad input."""
        raise error

    def lookup(self, item_id: str) -> dict[str, Any] | None:
        """Return what is known of an item, ready for JSON; None where it was never touched here."""
        view = self.store.lookup(item_id)
        return None if view is None else item_profile(view)
