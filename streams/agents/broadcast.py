"""What a worker knows of the whole shop: the newest churn model and every item's neighbours."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from online_models.churn.scorer import ChurnScorer
from online_models.errors import CorruptStateError
from online_models.events import UInt64s, hash_id
from online_models.items.neighbours import NeighbourTable
from online_models.items.settings import CooccurrenceSettings
from streams.agents.documents import neighbour_row
from streams.agents.report import Report
from streams.broadcast import BroadcastReader, Rows
from streams.encode import read
from streams.schemas import ItemNeighbours, ModelSnapshot

log = logging.getLogger(__name__)


class Broadcast:
    """The broadcast topics of one worker, kept current by a reader thread.

    Parameters
    ----------
    config
        confluent-kafka settings that reach the broker.
    neighbours, models
        Full names of the topics.
    settings
        Of the stores that publish the neighbours.
    report
        Takes what is measured.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        neighbours: str,
        models: str,
        settings: CooccurrenceSettings,
        report: Report,
    ) -> None:
        self.table = NeighbourTable(settings)
        self.scorer: ChurnScorer | None = None
        self.snapshot: ModelSnapshot | None = None
        self.refused = 0
        self._report = report
        self._sinks = {neighbours: self.take_neighbours, models: self.take_models}
        taking = {topic: partial(self._take, topic, sink) for topic, sink in self._sinks.items()}
        self._reader = BroadcastReader(config, taking)

    @property
    def ready(self) -> bool:
        """Whether the topics were read up to the ends they had at start."""
        return self._reader.ready

    def start(self) -> None:
        """Begin to read, in the running event loop."""
        for topic in self._sinks:
            self._report.broadcast(topic, 0, 0)
        self._reader.start()

    def stop(self) -> None:
        """End the reader."""
        self._reader.stop()

    def popular(self, count: int) -> UInt64s:
        """Return the hashes of the most popular items now, best first."""
        return self.table.hash[self.table.popular()[:count]]

    def item_id(self, item_hash: int) -> str:
        """Return the id behind a hash, "" where it has not been broadcast yet."""
        row = int(self.table.rows_of(np.array([item_hash], np.uint64))[0])
        return "" if row < 0 else self.table.item_id(row)

    def take_neighbours(self, rows: Rows) -> None:
        """Take rows of items over; one that cannot be read is refused and counted."""
        found, removed = [], []
        for key, value in rows:
            if value is None:
                removed.append(hash_id(key.decode()))
                continue
            try:
                found.append(neighbour_row(read(ItemNeighbours, value)))
            except CorruptStateError as error:
                self._refuse(key, error)
        self.table.upsert(found)
        if removed:
            self.table.remove(removed)

    def take_models(self, rows: Rows) -> None:
        """Take the newest snapshot over; one that cannot be read is refused and the old one stays."""
        for key, value in rows:
            if value is None:
                continue
            try:
                snapshot = read(ModelSnapshot, value)
                if snapshot.model == "churn":
                    self.scorer = ChurnScorer.from_snapshot(snapshot.state["scorer"])
                    self.snapshot = snapshot
            except (CorruptStateError, KeyError, TypeError, ValueError) as error:
                self._refuse(key, error)

    def _take(self, topic: str, sink: Callable[[Rows], None], rows: Rows) -> None:
        refused = self.refused
        sink(rows)
        self._report.broadcast(topic, len(rows), self.refused - refused)

    def _refuse(self, key: bytes, error: Exception) -> None:
        self.refused += 1
        log.error("broadcast row %r refused: %s", key, error)
