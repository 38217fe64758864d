"""The ranker agent: learns from what users touched next, and publishes rankers as plain numbers."""

import logging
import math
from collections.abc import Iterable, Sequence

from online_models.items.rank_examples import RankExamples
from online_models.items.rank_trainer import PublishedRanker, RankTrainerSettings, RankTrainerStore
from streams.agents import documents
from streams.agents.internal import unpack_all
from streams.agents.report import Report
from streams.encode import encode_snapshot
from streams.engine.handler import Output, Record, Row
from streams.model_rows import day_key

log = logging.getLogger(__name__)


class RankerHandler:
    """Owns the ranker; its examples topic has one partition, so one network sees every set.

    Parameters
    ----------
    settings
        Of the store.
    models
        Full name of the snapshot topic.
    report
        Takes what is measured.
    """

    def __init__(self, settings: RankTrainerSettings, models: str, report: Report) -> None:
        self.store = RankTrainerStore(settings)
        self._models, self._report = models, report

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load changelog rows."""
        self.store.restore(rows)

    def restored(self) -> None:
        """Finish loading."""
        self.store.restored()

    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        """Learn set by set, and publish rankers that are due."""
        published: list[PublishedRanker] = []
        for examples in unpack_all(records, RankExamples.unpack):
            published += self.store.apply(examples)
        for metric, value in self.store.card().items():
            if not math.isnan(value):
                self._report.model_quality(documents.RANKER, metric, value)
        # The topic is compacted and readers want the newest only.
        return [row for one in published[-1:] for row in self._snapshot(one)]

    def _snapshot(self, published: PublishedRanker) -> list[Output]:
        """Return a ranker as the newest one, and as the last one of its day, to which one may go back."""
        snapshot = documents.ranker_snapshot(published)
        key, value = encode_snapshot(snapshot)
        log.info(
            "%s published after %d sets",
            *(snapshot.model_version, snapshot.examples),
            extra={"model_version": snapshot.model_version, "sets": snapshot.examples},
        )
        keys = (key, day_key(snapshot.model, snapshot.event_time))
        self._report.outputs(self._models, len(keys))
        return [Output(self._models, 0, one, value) for one in keys]

    def tick(self, now_ms: int) -> Sequence[Output]:  # noqa: ARG002  # rankers learn from touches only
        """Do nothing: rankers learn from touches, not from time."""
        return ()

    def dirty_rows(self) -> Sequence[Row]:
        """Return the rows changed since the last checkpoint."""
        return self.store.dirty_rows()

    def poison(self, record: Record, error: BaseException) -> Sequence[Output]:  # noqa: ARG002  # see below
        """Refuse: a record another worker wrote cannot be somebody's bad input."""
        raise error
