"""What a worker knows of the whole shop: the newest churn model and every item's neighbours."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from online_models.churn.scorer import ChurnScorer
from online_models.errors import CorruptStateError
from online_models.events import UInt64s, hash_id
from online_models.items.neighbours import NeighbourTable
from online_models.items.settings import CooccurrenceSettings
from streams.agents.documents import neighbour_row
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
    on_taken
        Told the topic and number of rows taken over; 0 of each topic at start.
    on_refused
        Told the topic of every row that cannot be read.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        neighbours: str,
        models: str,
        settings: CooccurrenceSettings,
        *,
        on_taken: Callable[[str, int], None] = lambda _topic, _rows: None,
        on_refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.table = NeighbourTable(settings)
        self.scorer: ChurnScorer | None = None
        self.snapshot: ModelSnapshot | None = None
        self.refused = 0
        self._neighbours, self._models = neighbours, models
        self._on_taken, self._on_refused = on_taken, on_refused
        self._reader = BroadcastReader(config, {neighbours: self.take_neighbours, models: self.take_models})

    @property
    def ready(self) -> bool:
        """Whether the topics were read up to the ends they had at start."""
        return self._reader.ready

    def start(self) -> None:
        """Begin to read, in the running event loop."""
        for topic in (self._neighbours, self._models):
            self._on_taken(topic, 0)
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
                self._refuse(self._neighbours, key, error)
        self.table.upsert(found)
        if removed:
            self.table.remove(removed)
        self._on_taken(self._neighbours, len(rows))

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
                self._refuse(self._models, key, error)
        self._on_taken(self._models, len(rows))

    def _refuse(self, topic: str, key: bytes, error: Exception) -> None:
        self.refused += 1
        self._on_refused(topic)
        log.error("broadcast row %r refused: %s", key, error)
