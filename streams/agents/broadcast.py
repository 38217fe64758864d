"""What a worker knows of the whole shop: the newest churn model and every item's neighbours."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from online_models.churn.scorer import ChurnScorer
from online_models.errors import CorruptStateError
from online_models.events import UInt64s, hash_id
from online_models.items.neighbours import NeighbourTable
from online_models.items.settings import CooccurrenceSettings
from streams import model_rows
from streams.agents.documents import neighbour_row
from streams.broadcast import BroadcastReader, Rows
from streams.encode import read
from streams.schemas import ItemNeighbours, ModelSnapshot

log = logging.getLogger(__name__)


class _Model(NamedTuple):
    """A snapshot, and the scorer that it describes."""

    snapshot: ModelSnapshot
    scorer: ChurnScorer

    @classmethod
    def of(cls, value: bytes) -> "_Model":
        """Return the model in a row."""
        snapshot = read(ModelSnapshot, value)
        return cls(snapshot, ChurnScorer.from_snapshot(snapshot.state["scorer"]))


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
    """

    def __init__(
        self, config: Mapping[str, Any], neighbours: str, models: str, settings: CooccurrenceSettings
    ) -> None:
        self.table = NeighbourTable(settings)
        self._newest: _Model | None = None
        self._pinned: _Model | None = None
        self.refused = 0
        self._reader = BroadcastReader(config, {neighbours: self.take_neighbours, models: self.take_models})

    @property
    def ready(self) -> bool:
        """Whether the topics were read up to the ends they had at start."""
        return self._reader.ready

    @property
    def scorer(self) -> ChurnScorer | None:
        """What to score with; None before the first model."""
        used = self._pinned or self._newest
        return used and used.scorer

    @property
    def snapshot(self) -> ModelSnapshot | None:
        """The model that is scored with."""
        used = self._pinned or self._newest
        return used and used.snapshot

    @property
    def newest(self) -> ModelSnapshot | None:
        """The model that was published last; it is scored with unless another is pinned."""
        return self._newest and self._newest.snapshot

    def start(self) -> None:
        """Begin to read, in the running event loop."""
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
        """Take newest and pinned snapshot over; one that cannot be read is refused and the old one stays."""
        for key, value in rows:
            row = model_rows.parse(key)
            if row is None or row.model != "churn" or row.kind == "day":
                continue
            try:
                if row.kind == "pin":
                    self._pin(None if value is None else _Model.of(value))
                elif value is not None:
                    self._newest = _Model.of(value)
            except (CorruptStateError, KeyError, TypeError, ValueError) as error:
                self._refuse(key, error)

    def _pin(self, model: "_Model | None") -> None:
        if model is not None:
            log.info("scoring with %s until it is released", model.snapshot.model_version)
        elif self._pinned is not None:
            log.info("%s is released", self._pinned.snapshot.model_version)
        self._pinned = model

    def _refuse(self, key: bytes, error: Exception) -> None:
        self.refused += 1
        log.error("broadcast row %r refused: %s", key, error)
