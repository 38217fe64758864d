"""What a worker knows of the whole shop: the newest models and every item's neighbours."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from online_models import snapshots
from online_models.churn.scorer import ChurnScorer
from online_models.errors import CorruptStateError
from online_models.events import UInt64s, hash_id
from online_models.experiments.book import ExperimentBook
from online_models.items.neighbours import NeighbourRow, NeighbourTable
from online_models.items.network import FrozenRanker
from online_models.items.ranker import BaseRanker, Ranker
from online_models.items.settings import CooccurrenceSettings
from online_models.items.shop import Shop
from online_models.winback.bandit import BanditPolicy
from streams import model_rows
from streams.agents.documents import BASE_RANKER, RANKER, neighbour_rows
from streams.agents.experiments import EXPERIMENTS
from streams.agents.shop import ShopReader
from streams.broadcast import BroadcastReader, Refused, Rows
from streams.encode import read, read_snapshot
from streams.schemas import ItemNeighbours, ModelSnapshot

_READ: Final = ("churn", "winback", RANKER, EXPERIMENTS)

log = logging.getLogger(__name__)


class _Ranking(NamedTuple):
    """A ranker and its version."""

    version: str
    ranker: Ranker


class _Model(NamedTuple):
    """A snapshot, and the scorer that it describes."""

    snapshot: ModelSnapshot
    scorer: ChurnScorer


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
    horizon_ms
        What users are asked for; a model of another horizon scores nobody.
    shop
        Keeps the shop's catalogue and rules; they are empty without it.
    on_taken
        Told the topic and number of rows taken over; 0 of each topic at start.
    on_refused
        Told the topic of every row that cannot be read.
    on_experiments
        Told what has come of experiments, whenever that changes.

    Attributes
    ----------
    table
        Every item's neighbours.
    shop
        The shop's catalogue and rules.
    bandit
        What is believed of the win-back actions; None before the first outcomes.
    experiments
        What has come of the experiments so far.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        neighbours: str,
        models: str,
        settings: CooccurrenceSettings,
        *,
        horizon_ms: int,
        shop: ShopReader | None = None,
        on_taken: Callable[[str, int], None] = lambda _topic, _rows: None,
        on_refused: Callable[[str], None] = lambda _: None,
        on_experiments: Callable[[ExperimentBook], None] = lambda _: None,
    ) -> None:
        self.table = NeighbourTable(settings)
        self._newest: _Model | None = None
        self._pinned: _Model | None = None
        self.bandit: BanditPolicy | None = None
        self.experiments = ExperimentBook()
        self._newest_ranker = _Ranking(BASE_RANKER, BaseRanker())
        self._pinned_ranker: _Ranking | None = None
        self._horizon_ms = horizon_ms
        self._on_taken, self._on_refused = on_taken, on_refused
        self._on_experiments = on_experiments
        self.shop = shop.shop if shop else Shop()
        sinks = {neighbours: self.take_neighbours, models: self.take_models, **(shop.sinks if shop else {})}
        self._topics = tuple(sinks)
        taking = {topic: partial(self._take, topic, sink) for topic, sink in sinks.items()}
        self._reader = BroadcastReader(config, taking)

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
    def ranker(self) -> Ranker:
        """What to rank with; the fixed weights before the first learned ranker."""
        return (self._pinned_ranker or self._newest_ranker).ranker

    @property
    def ranker_version(self) -> str:
        """The version of what is ranked with."""
        return (self._pinned_ranker or self._newest_ranker).version

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
        for topic in self._topics:
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

    def take_neighbours(self, rows: Rows) -> list[Refused]:
        """Take rows of items over; one that cannot be read is refused and what was known of it stays."""
        refused: list[Refused] = []
        documents: dict[int, ItemNeighbours] = {}
        deleted: dict[int, str] = {}
        for place, (key, value) in enumerate(rows):
            try:
                if value is not None:
                    documents[place] = read(ItemNeighbours, value)
                    continue
                with snapshots.reading("item"):
                    deleted[place] = key.decode()
            except CorruptStateError as error:
                refused.append(Refused(place, str(error)))
        described = dict(zip(documents, neighbour_rows(list(documents.values())), strict=True))
        # Of an item only its newest row counts: a deletion may come before it or after.
        latest: dict[str, NeighbourRow | None] = {}
        for place in sorted(described | deleted):
            row = described.get(place)
            if row is not None:
                latest[row.item_id] = row
            elif place in deleted:
                latest[deleted[place]] = None
            else:
                item_id = documents[place].item_id
                refused.append(Refused(place, f"neighbours of {item_id!r} have weights that are no numbers"))
        self.table.upsert([row for row in latest.values() if row is not None])
        self.table.remove([hash_id(item) for item, row in latest.items() if row is None])
        return refused

    def take_models(self, rows: Rows) -> list[Refused]:
        """Take newest and pinned snapshot over; one that cannot be read is refused, the one in use stays."""
        refused = []
        for place, (key, value) in enumerate(rows):
            row = model_rows.parse(key)
            if row is None or row.model not in _READ or row.kind == "day":
                continue
            try:
                if row.model == "winback":
                    self._believe(value)
                elif row.model == EXPERIMENTS:
                    self._take_experiments(value)
                elif row.model == RANKER:
                    self._take_ranker(row, value)
                elif row.kind == "pin":
                    self._pin(None if value is None else self._model(value))
                elif value is not None:
                    self._newest = self._model(value)
            except CorruptStateError as error:
                refused.append(Refused(place, str(error)))
        return refused

    def _believe(self, value: bytes | None) -> None:
        if value is not None:
            with snapshots.reading("winback-policy"):
                self.bandit = BanditPolicy.from_snapshot(read_snapshot(value).state["policy"])

    def _take_experiments(self, value: bytes | None) -> None:
        if value is not None:
            self.experiments = ExperimentBook.from_state(read_snapshot(value).state)
            self._on_experiments(self.experiments)

    def _take_ranker(self, row: model_rows.ModelRow, value: bytes | None) -> None:
        ranking = None if value is None else _ranking(value)
        if row.kind == "pin":
            log.info("ranking with %s", ranking.version if ranking else self._newest_ranker.version)
            self._pinned_ranker = ranking
        elif ranking is not None:
            self._newest_ranker = ranking

    def _model(self, value: bytes) -> _Model:
        snapshot = read_snapshot(value)
        with snapshots.reading("churn-scorer"):
            scorer = ChurnScorer.from_snapshot(snapshot.state["scorer"])
        if not scorer.answers(self._horizon_ms):
            log.warning(
                "model %s answers for a horizon of %d ms, asked is %d ms: "
                "users are scored by recency and nobody is alerted until a new model has learned enough",
                snapshot.model_version,
                scorer.horizon_ms,
                self._horizon_ms,
            )
            scorer = dataclasses.replace(scorer, ready=False)
        return _Model(snapshot, scorer)

    def _pin(self, model: _Model | None) -> None:
        if model is not None:
            log.info("scoring with %s until it is released", model.snapshot.model_version)
        elif self._pinned is not None:
            log.info("%s is released", self._pinned.snapshot.model_version)
        self._pinned = model

    def _take(self, topic: str, sink: Callable[[Rows], list[Refused]], rows: Rows) -> list[Refused]:
        refused = sink(rows)
        self._on_taken(topic, len(rows) - len(refused))
        for _ in refused:
            self._on_refused(topic)
        return refused


def _ranking(value: bytes) -> _Ranking:
    snapshot = read_snapshot(value)
    with snapshots.reading(RANKER):
        return _Ranking(snapshot.model_version, FrozenRanker.from_snapshot(snapshot.state["ranker"]))
